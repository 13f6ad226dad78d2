// Package callout translates between PIM's JSON and the gateway's nouns: the body of a callout becomes
// an Activation, an Evaluation becomes the answer.
//
// PIM has three request shapes: Graph's unifiedRoleAssignmentScheduleRequest for Entra roles and
// privilegedAccessGroupAssignmentScheduleRequest for groups, and Azure Resource Manager's
// RoleAssignmentScheduleRequest. Their spelling of names and enumerations is not published for
// callouts, so that case never matters; what they say is read strictly, and spellings that mean the same
// come out the same.
//
// It performs no I/O and decides nothing.
package callout
