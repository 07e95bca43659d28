package main

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/lib/pq"
)

func ofPq() {
	ctx := context.Background()
	db, err := sql.Open("postgres", "")
	must(err)
	_, err = db.Exec("drop table if exists pq_things; create table pq_things (id int primary key, note text, tags text[])")
	must(err)

	check("values and their types", func() (interface{}, error) {
		rows, err := db.Query("select $1::int8, $2::text, $3::bytea, $4::text[], $5::timestamptz, $6::bool, null", int64(1)<<62, "schön", []byte{0, 255}, pq.Array([]string{"a", "b\""}), time.Unix(1620097321, 0), true)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		types, err := rows.ColumnTypes()
		if err != nil {
			return nil, err
		}
		var seen []interface{}
		for _, one := range types {
			seen = append(seen, one.DatabaseTypeName())
		}
		var big int64
		var text string
		var raw []byte
		var words []string
		var when time.Time
		var flag bool
		var nothing sql.NullString
		rows.Next()
		err = rows.Scan(&big, &text, &raw, pq.Array(&words), &when, &flag, &nothing)
		return append(seen, big, text, raw, words, when.UTC(), flag, nothing), err
	})
	check("values in binary", func() (interface{}, error) {
		own, err := sql.Open("postgres", "binary_parameters=yes")
		if err != nil {
			return nil, err
		}
		defer own.Close()
		var text string
		err = own.QueryRow("select $1 || '!'", "it's").Scan(&text)
		return text, err
	})
	check("a prepared statement", func() (interface{}, error) {
		statement, err := db.Prepare("insert into pq_things (id, note) values ($1, $2)")
		if err != nil {
			return nil, err
		}
		defer statement.Close()
		for n := 0; n < 50; n++ {
			if _, err := statement.Exec(n, fmt.Sprint("note ", n)); err != nil {
				return nil, err
			}
		}
		_, err = statement.Exec(1, "twice")
		var count int
		if err := db.QueryRow("select count(*) from pq_things").Scan(&count); err != nil {
			return nil, err
		}
		return []interface{}{count, failure(err)}, nil
	})
	check("COPY in", func() (interface{}, error) {
		tx, err := db.Begin()
		if err != nil {
			return nil, err
		}
		statement, err := tx.Prepare(pq.CopyIn("pq_things", "id", "note"))
		if err != nil {
			return nil, err
		}
		for n := 1000; n < 3000; n++ {
			if _, err := statement.Exec(n, fmt.Sprint("copied\t", n)); err != nil {
				return nil, err
			}
		}
		if _, err := statement.Exec(); err != nil {
			return nil, err
		}
		if err := statement.Close(); err != nil {
			return nil, err
		}
		if err := tx.Commit(); err != nil {
			return nil, err
		}
		var count int
		var note string
		err = db.QueryRow("select count(*), max(note) from pq_things").Scan(&count, &note)
		return []interface{}{count, note}, err
	})
	check("several results of one text", func() (interface{}, error) {
		rows, err := db.Query("select 1; select 2, 'b'")
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		var a, b int
		var text string
		for rows.Next() {
			if err := rows.Scan(&a); err != nil {
				return nil, err
			}
		}
		rows.NextResultSet()
		rows.Next()
		err = rows.Scan(&b, &text)
		return []interface{}{a, b, text}, err
	})
	check("transactions", func() (interface{}, error) {
		tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
		if err != nil {
			return nil, err
		}
		_, failed := tx.Exec("delete from pq_things")
		_, after := tx.Exec("select 1")
		return []interface{}{failure(failed), failure(after)}, tx.Rollback()
	})
	check("a listener", func() (interface{}, error) {
		listener := pq.NewListener("", time.Second, time.Minute, nil)
		defer listener.Close()
		if err := listener.Listen("pq_channel"); err != nil {
			return nil, err
		}
		if _, err := db.Exec("select pg_notify('pq_channel', 'hello')"); err != nil {
			return nil, err
		}
		select {
		case heard := <-listener.Notify:
			return heard.Channel + " " + heard.Extra, nil
		case <-time.After(30 * time.Second):
			return "silence", nil
		}
	})
	check("a context that ends cancels", func() (interface{}, error) {
		limited, cancel := context.WithTimeout(ctx, 400*time.Millisecond)
		defer cancel()
		_, err := db.ExecContext(limited, "select pg_sleep(60)")
		var text string
		if err := db.QueryRow("select 'goes on'").Scan(&text); err != nil {
			return nil, err
		}
		return []interface{}{failure(err), text}, nil
	})
	_, err = db.Exec("drop table pq_things")
	must(err)
	must(db.Close())
}
