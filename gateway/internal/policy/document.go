package policy

import (
	"time"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// document is one policy file.
type document struct {
	Policies []policyText `yaml:"policies"`
	Default  defaultWord  `yaml:"default"`
}

// policyText is one policy as it is written. Empty words have the defaults of the comments.
type policyText struct {
	Name          string             `yaml:"name,required"`
	Mode          modeWord           `yaml:"mode"`   // enforce
	Stages        []stageWord        `yaml:"stages"` // both
	AppliesTo     appliesToText      `yaml:"applies_to,required"`
	When          string             `yaml:"when"`
	HumanApproval bool               `yaml:"human_approval"`
	Ask           map[string]askText `yaml:"ask"`
	Rules         []ruleText         `yaml:"rules"`
	Otherwise     otherwiseWord      `yaml:"otherwise,required"`
}

type appliesToText struct {
	EntraRoles     *rolesText  `yaml:"entra_roles"`
	AzureResources *rolesText  `yaml:"azure_resources"`
	Groups         *groupsText `yaml:"groups"`
}

type rolesText struct {
	Roles  []string `yaml:"roles,required"`
	Scopes []string `yaml:"scopes"` // everywhere
}

type groupsText struct {
	IDs    []string     `yaml:"ids,required"`
	Access []accessWord `yaml:"access"` // both
}

type askText struct {
	Connector  string         `yaml:"connector,required"`
	Capability string         `yaml:"capability,required"`
	Args       map[string]any `yaml:"args"`
	MaxAge     time.Duration  `yaml:"max_age"`
	Timeout    time.Duration  `yaml:"timeout"`
}

type ruleText struct {
	Name        string      `yaml:"name,required"`
	Require     string      `yaml:"require"`
	AutoApprove string      `yaml:"auto_approve"`
	Hold        string      `yaml:"hold"`
	WhenUnknown unknownWord `yaml:"when_unknown"` // deny
	Reason      string      `yaml:"reason"`
}

type defaultWord string

// Words are those of `default`.
func (defaultWord) Words() []string { return []string{"deny", "approve"} }

type modeWord string

// Words are those of `mode`.
func (modeWord) Words() []string { return []string{string(pim.Enforce), string(pim.Shadow)} }

type stageWord string

// Words are those of `stages`.
func (stageWord) Words() []string { return []string{string(pim.PreApproval), string(pim.PostApproval)} }

type accessWord string

// Words are those of `access`.
func (accessWord) Words() []string { return []string{string(pim.Member), string(pim.Owner)} }

type otherwiseWord string

// The verdicts of a policy of which no auto_approve is true.
const (
	approve otherwiseWord = "approve"
	deny    otherwiseWord = "deny"
	abstain otherwiseWord = "abstain"
)

// Words are those of `otherwise`.
func (otherwiseWord) Words() []string {
	return []string{string(approve), string(deny), string(abstain)}
}

type unknownWord string

// Words are those of `when_unknown`.
func (unknownWord) Words() []string { return []string{"deny", "approve"} }
