package kernel

import "golang.org/x/sys/unix"

// Attributes are what a thread has been told to be and its children inherit.
// They are not changed once made.
type Attributes struct {
	Sched       SchedPolicy
	CPUs        uint64 // affinity, a bit for each processor; it has no effect
	IOPrio      IOPrio
	Personality uint32
	TimerSlack  uint64 // nanoseconds; it has no effect
	Dumpable    bool
	LoginUID    uint32 // who logged in: noLogin until PAM tells
	Session     uint32 // the number of that login
}

// defaultSlack is the first process's timer slack, nanoseconds.
const defaultSlack = 50_000

func newAttributes() *Attributes {
	return &Attributes{CPUs: allCPUs(), TimerSlack: defaultSlack, Dumpable: true, LoginUID: noLogin, Session: noLogin}
}

// fork is what a child begins with.
func (a Attributes) fork() *Attributes {
	a.Sched = a.Sched.fork()
	return &a
}

// Attributes are the thread's. Any task may ask.
func (t *Task) Attributes() Attributes { return *t.attributes.Load() }

// SetAttributes changes them.
func (t *Task) SetAttributes(change func(*Attributes)) {
	for {
		old := t.attributes.Load()
		n := *old
		change(&n)
		if t.attributes.CompareAndSwap(old, &n) {
			return
		}
	}
}

// noLogin is AUDIT_UID_UNSET and AUDIT_SID_UNSET.
const noLogin = 1<<32 - 1

// Login is the user that logged in, by whom t was started, and the session's number.
func (t *Task) Login() (user, session uint32) {
	a := t.Attributes()
	return a.LoginUID, a.Session
}

// SetLogin is audit_set_loginuid: EPERM for who has logged in and may not change it.
func (t *Task) SetLogin(user uint32) error {
	if t.Attributes().LoginUID != noLogin && !t.Creds().Has(unix.CAP_AUDIT_CONTROL) {
		return unix.EPERM
	}
	session := uint32(noLogin)
	if user != noLogin {
		session = t.K.logins.Add(1)
	}
	t.SetAttributes(func(a *Attributes) { a.LoginUID, a.Session = user, session })
	return nil
}
