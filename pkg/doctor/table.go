package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Table describes a table. Attributes are written with their type: "pk S".
type Table struct {
	Name      string
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

// CheckTable checks key, indexes, expiry and recovery of the table. A restored table has the
// items and the indexes of the other; expiry, recovery and protection are off.
func CheckTable(t Tables, s Target) Check {
	return func(ctx context.Context) []Finding {
		d, err := t.Table(ctx)
		if err != nil {
			return unknown("table", err, "dynamodb:DescribeTable")
		}
		all := append(shape(d), expiry(ctx, t, d)...)
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
		f.fail(`name the right one ("table" in the stage's file, or TOLLGATE_TABLE): a key cannot be changed`, "its key is %q, want pk S", d.Key)
	}
	want := map[string][]string{"open-upd": {"open S", "upd N"}, "list": {"lst S", "at S"}}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		i, ok := d.Indexes[name]
		switch {
		case !ok:
			f.fail(createIndex(d, name, want[name]), "index %s is missing: its lists are empty", name)
		case !slices.Equal(i.Key, want[name]) || i.Projection != "ALL":
			f.fail("delete the index, then "+createIndex(d, name, want[name]), "index %s is of %q with %s, want %q with ALL", name, i.Key, i.Projection, want[name])
		case i.Status != "" && i.Status != "ACTIVE":
			f.warn("wait until it is built", "index %s is %s", name, i.Status)
		}
	}
	return f.or("key and indexes are as required")
}

// createIndex is the command that makes an index. It describes the keys of the table and of its
// other indexes again.
func createIndex(d Table, name string, key []string) string {
	attributes := slices.Concat(d.Key, key)
	for other, i := range d.Indexes {
		if other != name {
			attributes = append(attributes, i.Key...)
		}
	}
	slices.Sort(attributes)
	var defined []string
	for _, a := range slices.Compact(attributes) {
		attribute, kind, _ := strings.Cut(a, " ")
		defined = append(defined, "AttributeName="+attribute+",AttributeType="+kind)
	}
	hash, sort := strings.Fields(key[0]), strings.Fields(key[1])
	return fmt.Sprintf("aws dynamodb update-table --table-name %s --attribute-definitions %s "+
		`--global-secondary-index-updates '[{"Create":{"IndexName":%q,"KeySchema":[{"AttributeName":%q,"KeyType":"HASH"},{"AttributeName":%q,"KeyType":"RANGE"}],"Projection":{"ProjectionType":"ALL"}}}]'`,
		d.Name, strings.Join(defined, " "), name, hash[0], sort[0])
}

func expiry(ctx context.Context, t Tables, d Table) []Finding {
	f := findings{name: "table expiry"}
	switch attribute, err := t.Expiry(ctx); {
	case err != nil:
		return unknown(f.name, err, "dynamodb:DescribeTimeToLive")
	case attribute == "":
		f.fail("aws dynamodb update-time-to-live --table-name "+d.Name+" --time-to-live-specification Enabled=true,AttributeName=exp",
			"items do not expire: the table only grows, and keeps data for longer than is promised")
	case attribute != "exp":
		f.fail("aws dynamodb update-time-to-live --table-name "+d.Name+" --time-to-live-specification Enabled=false,AttributeName="+attribute+", and an hour later Enabled=true,AttributeName=exp", "items expire by %q, want exp: a record may expire before its event's copies", attribute)
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
		f.fail("aws dynamodb update-continuous-backups --table-name "+d.Name+" --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
			"the table cannot be restored to a point in time: a mistake loses what exists only in it")
	}
	if !d.Protected {
		f.warn("aws dynamodb update-table --table-name "+d.Name+" --deletion-protection-enabled", "the table is not protected against deletion")
	}
	return f.or("it can be restored, and is protected against deletion")
}
