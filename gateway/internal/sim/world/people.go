package world

import (
	"fmt"
	"strings"
)

// Person is one of the people of the demonstration.
type Person struct {
	// ID is the object id in the directory.
	ID   string
	Name string
	// Mail is the address that every system knows the person by; the directory spells it with capitals.
	Mail string
	// Employee is the number in HR; empty for those HR does not know.
	Employee   string
	Department string
	Title      string
	Guest      bool
	// Status is what HR says of the employment: one of the words of BambooHR's employment status.
	Status string
	// Left and OnLeave are the special cases of HR.
	Left, OnLeave bool
}

// The people. Each stands for one case that an activation can be.
func ada() Person {
	return person(1, "Ada Lind", "10417")
}

func ben() Person {
	return person(2, "Ben Okafor", "10433").in("Payments", "Site Reliability Engineer")
}

func carla() Person {
	return person(3, "Carla Moreno", "10388").in("Platform", "Cloud Engineer")
}

// david left last week; his account still works.
func david() Person {
	p := person(4, "David Stern", "10122")
	p.Left = true
	return p
}

// elif works for an agency.
func elif() Person {
	p := person(5, "Elif Kaya", "20044").in("Identity", "Consultant")
	p.Status = contractor
	return p
}

// finn is a guest from another company.
func finn() Person {
	p := person(6, "Finn Maes", "").in("", "")
	p.Guest, p.Mail = true, "finn.maes@fabrikam.example"
	return p
}

// grace is on leave.
func grace() Person {
	p := person(7, "Grace Huang", "10291")
	p.OnLeave = true
	return p
}

func hiro() Person {
	return person(8, "Hiro Tanaka", "10009").in("Payments", "Head of Payments Operations")
}

// ines is only ever asked about while HR is down, so that nothing is remembered of her.
func ines() Person {
	return person(9, "Ines Duarte", "10502")
}

// People are all people of the demonstration.
func People() []Person {
	return []Person{ada(), ben(), carla(), david(), elif(), finn(), grace(), hiro(), ines()}
}

const (
	employee   = "Full-Time"
	contractor = "Contractor"
)

// person fills in what follows from the number of the person, the name and the employee number.
func person(n int, name, number string) Person {
	first, last, _ := strings.Cut(name, " ")
	return Person{
		ID:   fmt.Sprintf("11a3f0c2-5d1e-4c53-8a37-%012d", n),
		Name: name, Mail: strings.ToLower(first+"."+last) + "@contoso.example",
		Employee: number, Department: "Identity", Title: "Identity Engineer", Status: employee,
	}
}

func (p Person) in(department, title string) Person {
	p.Department, p.Title = department, title
	return p
}
