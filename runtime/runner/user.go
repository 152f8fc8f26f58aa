package runner

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// user is who the first process runs as.
type user struct {
	uid, gid uint32
	groups   []uint32
	home     string
}

// lookupUser resolves name|uid[:group|gid] by the image's /etc/passwd and
// /etc/group. A number need not be listed.
func (c *container) lookupUser(spec string) (user, error) {
	passwd, _ := c.readFile("/etc/passwd")
	group, _ := c.readFile("/etc/group")
	return resolveUser(spec, records(passwd), records(group))
}

// records splits a file of colon-separated lines.
func records(b []byte) (list [][]string) {
	for line := range strings.Lines(string(b)) {
		list = append(list, strings.Split(strings.TrimRight(line, "\n"), ":"))
	}
	return list
}

// Columns of passwd(5) and group(5).
const (
	colName    = 0
	colID      = 2
	colGID     = 3
	colHome    = 5
	colMembers = 3
)

func resolveUser(spec string, passwd, group [][]string) (user, error) {
	name, groupName, hasGroup := strings.Cut(spec, ":")
	if name == "" {
		name = "0"
	}
	u := user{home: "/"}
	row := find(passwd, name, colHome)
	switch id, err := number(name); {
	case row != nil:
		uid, err1 := number(row[colID])
		gid, err2 := number(row[colGID])
		if err1 != nil || err2 != nil {
			return user{}, fmt.Errorf("user %s: bad line in /etc/passwd", name)
		}
		u = user{uid: uid, gid: gid, home: row[colHome]}
		if !hasGroup {
			u.groups = memberships(group, row[colName], gid)
		}
	case err == nil:
		u.uid = id
	default:
		return user{}, fmt.Errorf("user %s is not in the image's /etc/passwd", name)
	}
	if !hasGroup {
		return u, nil
	}
	gid, err := resolveGroup(groupName, group)
	u.gid = gid
	return u, err
}

func resolveGroup(name string, group [][]string) (uint32, error) {
	if row := find(group, name, colID); row != nil {
		return number(row[colID])
	}
	id, err := number(name)
	if err != nil {
		return 0, fmt.Errorf("group %s is not in the image's /etc/group", name)
	}
	return id, nil
}

// find is the row whose name, or else whose id, is key and which has a column
// last.
func find(rows [][]string, key string, last int) []string {
	for _, column := range []int{colName, colID} {
		for _, row := range rows {
			if len(row) > last && row[column] == key {
				return row
			}
		}
	}
	return nil
}

// memberships are the groups that list name, and its own.
func memberships(group [][]string, name string, own uint32) []uint32 {
	list := []uint32{own}
	for _, row := range group {
		if len(row) <= colMembers || !slices.Contains(strings.Split(row[colMembers], ","), name) {
			continue
		}
		if id, err := number(row[colID]); err == nil && id != own {
			list = append(list, id)
		}
	}
	return list
}

func number(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err
}

// defaultPath is the PATH of a container whose image names none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is the spec's with docker's defaults for what it lacks.
func environment(s Spec, u user) []string {
	env := s.defaults(u)
	for _, kv := range s.Env {
		key, _, _ := strings.Cut(kv, "=")
		env = slices.DeleteFunc(env, func(old string) bool { return strings.HasPrefix(old, key+"=") })
		if strings.Contains(kv, "=") {
			env = append(env, kv)
		}
	}
	return env
}

func (s Spec) defaults(u user) []string {
	env := []string{"PATH=" + defaultPath, "HOSTNAME=" + s.Hostname}
	if s.TTY {
		env = append(env, "TERM=xterm")
	}
	return append(env, "HOME="+u.home)
}

// candidates are the paths to try for a program's name.
func candidates(name string, env []string) []string {
	if strings.Contains(name, "/") {
		return []string{name}
	}
	search := defaultPath
	for _, kv := range env {
		if value, ok := strings.CutPrefix(kv, "PATH="); ok {
			search = value
		}
	}
	var list []string
	for _, dir := range strings.Split(search, ":") {
		list = append(list, path.Join("/", dir, name))
	}
	return list
}
