package doctor

import (
	"context"
	"maps"
	"slices"
)

// Table describes a table. Attributes are written with their type: "pk S".
type Table struct {
	Status    string
	Key       []string // hash, then range
	Indexes   map[string]Index
	Protected bool // against deletion
}

// Index is one of its indexes.
type Index struct {
	Status     string
	Key        []string
	Projection string
}

// Tables reads the description of the table.
type Tables interface {
	Table(ctx context.Context) (Table, error)
	// Expiry returns the attribute by which items expire, "" when none do.
	Expiry(ctx context.Context) (attribute string, err error)
	// Recovery reports whether the table can be restored to a point in time.
	Recovery(ctx context.Context) (on bool, err error)
}

const redeploy = "deploy the stack again: make deploy"

// CheckTable checks key, indexes, expiry and recovery of the table.
func CheckTable(t Tables, s Target) Check {
	return func(ctx context.Context) []Finding {
		d, err := t.Table(ctx)
		if err != nil {
			return []Finding{{"table", Fail, err.Error(), "is the table there, and may these credentials call dynamodb:DescribeTable?"}}
		}
		all := shape(d)
		all = append(all, expiry(ctx, t)...)
		if s.Local {
			return append(all, Finding{"table recovery", Skipped, "a local table has no backups", ""})
		}
		return append(all, recovery(ctx, t, d)...)
	}
}

func shape(d Table) []Finding {
	f := findings{name: "table"}
	if d.Status != "ACTIVE" && d.Status != "UPDATING" {
		f.fail("wait, or look at the table in AWS's console", "its status is %s", d.Status)
	}
	if !slices.Equal(d.Key, []string{"pk S"}) {
		f.fail("check the name of the table: this is another one", "its key is %q, want pk S", d.Key)
	}
	want := map[string][]string{"open-upd": {"open S", "upd N"}, "list": {"lst S", "at S"}}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		i, ok := d.Indexes[name]
		switch {
		case !ok:
			f.fail(redeploy, "index %s is missing: its lists are empty", name)
		case !slices.Equal(i.Key, want[name]) || i.Projection != "ALL":
			f.fail(redeploy, "index %s is of %q with %s, want %q with ALL", name, i.Key, i.Projection, want[name])
		case i.Status != "" && i.Status != "ACTIVE":
			f.warn("wait until it is built", "index %s is %s", name, i.Status)
		}
	}
	return f.or("key and indexes are as required")
}

func expiry(ctx context.Context, t Tables) []Finding {
	f := findings{name: "table expiry"}
	switch attribute, err := t.Expiry(ctx); {
	case err != nil:
		return unknown(f.name, err, "dynamodb:DescribeTimeToLive")
	case attribute == "":
		f.warn(redeploy, "items do not expire: the table only grows")
	case attribute != "exp":
		f.fail(redeploy, "items expire by %q, want exp: a record may expire before its event's copies", attribute)
	}
	return f.or("items expire by exp")
}

func recovery(ctx context.Context, t Tables, d Table) []Finding {
	f := findings{name: "table recovery"}
	on, err := t.Recovery(ctx)
	if err != nil {
		return unknown(f.name, err, "dynamodb:DescribeContinuousBackups")
	}
	if !on {
		f.warn(redeploy, "the table cannot be restored to a point in time")
	}
	if !d.Protected {
		f.warn(redeploy, "the table is not protected against deletion")
	}
	return f.or("it can be restored, and is protected against deletion")
}
