// Programmes of Go's drivers: `pgx` and `pq`.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgconn"
	"github.com/lib/pq"
)

func check(label string, try func() (interface{}, error)) {
	value, err := try()
	text := fmt.Sprintf("%+v", value)
	if err != nil {
		text = failure(err)
	}
	fmt.Printf("== %s\n%s\n", label, text)
}

func failure(err error) string {
	var ofPgx *pgconn.PgError
	var ofPq *pq.Error
	if errors.As(err, &ofPgx) {
		return strings.Join([]string{ofPgx.Severity, ofPgx.Code, ofPgx.Message, ofPgx.Detail, ofPgx.TableName, ofPgx.ConstraintName, ofPgx.Where}, "|")
	}
	if errors.As(err, &ofPq) {
		return strings.Join([]string{ofPq.Severity, string(ofPq.Code), ofPq.Message, ofPq.Detail, ofPq.Table, ofPq.Constraint, ofPq.Where}, "|")
	}
	return strings.Split(err.Error(), "\n")[0]
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	if os.Args[1] == "pgx" {
		ofPgx()
	} else {
		ofPq()
	}
}
