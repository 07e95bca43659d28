package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgtype"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

func ofPgx() {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, "")
	must(err)
	_, err = conn.Exec(ctx, "drop table if exists go_things; create table go_things (id int primary key, note text, price numeric, tags text[], made timestamptz)")
	must(err)

	check("the process id is the server's", func() (interface{}, error) {
		var pid uint32
		err := conn.QueryRow(ctx, "select pg_backend_pid()").Scan(&pid)
		return pid == conn.PgConn().PID(), err
	})
	check("values there and back in binary", func() (interface{}, error) {
		var flag bool
		var small int16
		var big int64
		var real float64
		var text string
		var raw []byte
		var when time.Time
		var numbers []int32
		var words []string
		var number pgtype.Numeric
		var id pgtype.UUID
		var doc map[string]interface{}
		var nothing *string
		err := conn.QueryRow(ctx, `select $1::bool, $2::int2, $3::int8, $4::float8, $5::text, $6::bytea, $7::timestamptz, $8::int4[],
			$9::text[], $10::numeric, $11::uuid, $12::jsonb, $13::text`,
			true, int16(-3), int64(1)<<62, -0.1, "schön", []byte{0, 255}, time.Unix(1620097321, 0), []int32{1, 2}, []string{"a", "b\""},
			"12345.678900", "00000000-0000-0000-0000-00000000004d", map[string]interface{}{"a": 1}, nil).
			Scan(&flag, &small, &big, &real, &text, &raw, &when, &numbers, &words, &number, &id, &doc, &nothing)
		return []interface{}{flag, small, big, real, text, raw, when.UTC(), numbers, words, number.Int, number.Exp, id.Bytes, doc, nothing == nil}, err
	})
	check("statements that are prepared, by name and by themselves", func() (interface{}, error) {
		if _, err := conn.Prepare(ctx, "go_named", "select $1::int * 2"); err != nil {
			return nil, err
		}
		sum := 0
		for n := 0; n < 10; n++ {
			var twice int
			if err := conn.QueryRow(ctx, "go_named", n).Scan(&twice); err != nil {
				return nil, err
			}
			sum += twice
		}
		var count int
		err := conn.QueryRow(ctx, "select count(*) from pg_prepared_statements where statement like '%* 2'").Scan(&count)
		return []int{sum, count}, err
	})
	check("a batch", func() (interface{}, error) {
		batch := &pgx.Batch{}
		for n := 0; n < 100; n++ {
			batch.Queue("insert into go_things (id, note) values ($1, $2)", n, fmt.Sprint("note ", n))
		}
		batch.Queue("select count(*), sum(id) from go_things")
		results := conn.SendBatch(ctx, batch)
		var affected int64
		for n := 0; n < 100; n++ {
			tag, err := results.Exec()
			if err != nil {
				return nil, err
			}
			affected += tag.RowsAffected()
		}
		var count, sum int64
		if err := results.QueryRow().Scan(&count, &sum); err != nil {
			return nil, err
		}
		return []int64{affected, count, sum}, results.Close()
	})
	check("a batch with an error in it", func() (interface{}, error) {
		batch := &pgx.Batch{}
		batch.Queue("insert into go_things (id) values (500)")
		batch.Queue("insert into go_things (id) values (1)")
		batch.Queue("select 1")
		err := conn.SendBatch(ctx, batch).Close()
		var count int
		if err := conn.QueryRow(ctx, "select count(*) from go_things where id = 500").Scan(&count); err != nil {
			return nil, err
		}
		return []interface{}{failure(err), count}, nil
	})
	check("CopyFrom", func() (interface{}, error) {
		var rows [][]interface{}
		for n := 1000; n < 3000; n++ {
			rows = append(rows, []interface{}{n, fmt.Sprint("copied ", n), time.Unix(int64(n), 0)})
		}
		count, err := conn.CopyFrom(ctx, pgx.Identifier{"go_things"}, []string{"id", "note", "made"}, pgx.CopyFromRows(rows))
		if err != nil {
			return nil, err
		}
		_, err = conn.CopyFrom(ctx, pgx.Identifier{"go_things"}, []string{"id", "note", "made"}, pgx.CopyFromRows(rows[:1]))
		var note string
		if err := conn.QueryRow(ctx, "select note from go_things where id = $1", 2999).Scan(&note); err != nil {
			return nil, err
		}
		return []interface{}{count, failure(err), note}, nil
	})
	check("COPY as text", func() (interface{}, error) {
		var out strings.Builder
		tag, err := conn.PgConn().CopyTo(ctx, &out, "copy (select id, note from go_things where id < 3 order by id) to stdout")
		if err != nil {
			return nil, err
		}
		in, err := conn.PgConn().CopyFrom(ctx, strings.NewReader("4000\ta\n4001\tb\n"), "copy go_things (id, note) from stdin")
		return []interface{}{tag.String(), out.String(), in.String()}, err
	})
	check("transactions and savepoints", func() (interface{}, error) {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
		if err != nil {
			return nil, err
		}
		inner, err := tx.Begin(ctx)
		if err != nil {
			return nil, err
		}
		_, failed := inner.Exec(ctx, "insert into go_things (id) values ($1)", 1)
		if err := inner.Rollback(ctx); err != nil {
			return nil, err
		}
		var level string
		if err := tx.QueryRow(ctx, "show transaction_isolation").Scan(&level); err != nil {
			return nil, err
		}
		return []interface{}{failure(failed), level, string(conn.PgConn().TxStatus())}, tx.Rollback(ctx)
	})
	check("notifications", func() (interface{}, error) {
		if _, err := conn.Exec(ctx, "listen go_channel"); err != nil {
			return nil, err
		}
		other, err := pgx.Connect(ctx, "")
		if err != nil {
			return nil, err
		}
		defer other.Close(ctx)
		if _, err := other.Exec(ctx, "select pg_notify($1, $2)", "go_channel", "hello"); err != nil {
			return nil, err
		}
		limited, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		heard, err := conn.WaitForNotification(limited)
		if err != nil {
			return nil, err
		}
		return heard.Channel + " " + heard.Payload, nil
	})
	check("cancel", func() (interface{}, error) {
		stop := make(chan struct{})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				select {
				case <-stop:
					return
				case <-time.After(200 * time.Millisecond):
					_ = conn.PgConn().CancelRequest(ctx)
				}
			}
		}()
		_, err := conn.Exec(ctx, "select pg_sleep(60)")
		close(stop)
		<-ended
		return failure(err), nil
	})
	check("a pool", func() (interface{}, error) {
		pool, err := pgxpool.Connect(ctx, "")
		if err != nil {
			return nil, err
		}
		defer pool.Close()
		results := make(chan int)
		for n := 0; n < 20; n++ {
			go func(n int) {
				var got int
				if err := pool.QueryRow(ctx, "select $1::int", n).Scan(&got); err != nil {
					got = -1000
				}
				results <- got
			}(n)
		}
		sum := 0
		for n := 0; n < 20; n++ {
			sum += <-results
		}
		return sum, nil
	})
	check("the simple protocol and the extended one", func() (interface{}, error) {
		var seen []interface{}
		for _, simple := range []bool{false, true} {
			config, err := pgx.ParseConfig("")
			if err != nil {
				return nil, err
			}
			config.PreferSimpleProtocol = simple
			config.BuildStatementCache = nil
			own, err := pgx.ConnectConfig(ctx, config)
			if err != nil {
				return nil, err
			}
			defer own.Close(ctx)
			var text string
			var number int
			if err := own.QueryRow(ctx, "select $1 || '!', $2::int + 1", "it's", 41).Scan(&text, &number); err != nil {
				return nil, err
			}
			seen = append(seen, text, number)
		}
		return seen, nil
	})
	check("several hosts, and which of them", func() (interface{}, error) {
		own, err := pgx.Connect(ctx, "host=localhost,localhost port=1,"+os.Getenv("PGPORT")+" target_session_attrs=read-write")
		if err != nil {
			return nil, err
		}
		defer own.Close(ctx)
		var text string
		err = own.QueryRow(ctx, "select 'reached'").Scan(&text)
		return text, err
	})
	check("settings in the connection string", func() (interface{}, error) {
		own, err := pgx.Connect(ctx, "search_path=pg_catalog")
		if err != nil {
			return nil, err
		}
		defer own.Close(ctx)
		var text string
		err = own.QueryRow(ctx, "show search_path").Scan(&text)
		return text, err
	})
	_, err = conn.Exec(ctx, "drop table go_things")
	must(err)
	must(conn.Close(ctx))
}
