package main

import (
	"context"

	"github.com/countersign/countersign/connectors/finding"
	principalv1 "github.com/countersign/countersign/proto/countersign/principal/v1"
)

// person turns a user of Graph into facts. Graph blanks what the application may not read, without an
// error, so that null alone means nothing. Two things prove more:
//
//   - displayName, userPrincipalName and mail are shown by every permission with which a user can be
//     read at all.
//   - accountEnabled is never null to an application with User.Read.All; where it has a value, the other
//     properties of that permission are readable too, and null means that there is none.
//
// employeeLeaveDateTime needs User-LifeCycleInfo.Read.All, and only the operator knows whether that was
// granted.
func (d *directory) person(ctx context.Context, id string, user object) *principalv1.GetPrincipalResponse {
	resp := &principalv1.GetPrincipalResponse{
		Id:                &id,
		Kind:              principalv1.PrincipalKind_PRINCIPAL_KIND_USER.Enum(),
		UserPrincipalName: user.lower("userPrincipalName"),
		Mail:              user.address("mail"),
		EmployeeNumber:    user.text("employeeId"),
		UserType:          userType(user),
		AccountEnabled:    user.enabled(),
		HiredAt:           user.instant("employeeHireDate"),
		LeavesAt:          user.instant("employeeLeaveDateTime"),
		DisplayName:       user.text("displayName"),
		Department:        user.text("department"),
		JobTitle:          user.text("jobTitle"),
		CompanyName:       user.text("companyName"),
		EmployeeType:      user.text("employeeType"),
		SamAccountName:    user.lower("onPremisesSamAccountName"),
		CreatedAt:         user.instant("createdDateTime"),
	}
	manager := user.nested("manager")
	resp.ManagerId = manager.lower("id")
	resp.ManagerMail = manager.address("mail")
	d.declare(ctx, user, manager)
	return resp
}

// declare names the facts that are known to be absent.
func (d *directory) declare(ctx context.Context, user, manager object) {
	none := func(o object, property, fact string) {
		if o.isNull(property) {
			finding.None(ctx, fact)
		}
	}
	none(user, "mail", "mail")
	if d.leaveDateReadable {
		none(user, "employeeLeaveDateTime", "leaves_at")
	}
	if user.enabled() == nil {
		return
	}
	none(user, "employeeId", "employee_number")
	none(user, "employeeHireDate", "hired_at")
	none(user, "department", "department")
	none(user, "jobTitle", "job_title")
	none(user, "companyName", "company_name")
	none(user, "employeeType", "employee_type")
	none(user, "onPremisesSamAccountName", "sam_account_name")
	none(manager, "mail", "manager_mail")
}

func userType(user object) *principalv1.UserType {
	name := user.text("userType")
	if name == nil {
		return nil
	}
	switch *name {
	case "Member":
		return principalv1.UserType_USER_TYPE_MEMBER.Enum()
	case "Guest":
		return principalv1.UserType_USER_TYPE_GUEST.Enum()
	default:
		return nil
	}
}
