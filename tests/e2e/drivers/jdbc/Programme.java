// What pgjdbc is known for: batches, fetch sizes, generated keys, CopyManager, metadata, binary transfer, its query modes.

import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.ParameterMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PGobject;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class Programme {
    interface Tried {
        Object run() throws Exception;
    }

    static void check(String label, Tried tried) {
        String text;
        try {
            text = String.valueOf(tried.run());
        } catch (SQLException error) {
            text = error.getClass().getSimpleName() + " " + error.getSQLState() + " " + error.getMessage().split("\n")[0];
        } catch (Exception error) {
            text = String.valueOf(error);
        }
        System.out.println("== " + label + "\n" + text);
    }

    static Connection connect(String... more) throws SQLException {
        Map<String, String> environment = System.getenv();
        Properties properties = new Properties();
        properties.setProperty("user", environment.get("PGUSER"));
        properties.setProperty("password", environment.get("PGPASSWORD"));
        properties.setProperty("sslmode", "verify-full");
        properties.setProperty("sslrootcert", environment.get("PGSSLROOTCERT"));
        for (int n = 0; n < more.length; n += 2) {
            properties.setProperty(more[n], more[n + 1]);
        }
        String address = "localhost:" + environment.get("PGPORT") + "/" + environment.get("PGDATABASE");
        return DriverManager.getConnection("jdbc:postgresql://" + address, properties);
    }

    static List<List<Object>> rows(ResultSet result) throws SQLException {
        List<List<Object>> rows = new ArrayList<>();
        int width = result.getMetaData().getColumnCount();
        while (result.next()) {
            List<Object> row = new ArrayList<>();
            for (int column = 1; column <= width; column++) {
                Object value = result.getObject(column);
                row.add(value instanceof byte[] ? Arrays.toString((byte[]) value) : value instanceof Array ? value.toString() : value);
            }
            rows.add(row);
        }
        return rows;
    }

    static Object value(Connection connection, String text) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet result = statement.executeQuery(text)) {
            return rows(result);
        }
    }

    static void batch(Connection connection, int from) throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement("insert into jdbc_things (id, note) values (?, ?)")) {
            for (int n = from; n < from + 500; n++) {
                insert.setInt(1, n);
                insert.setString(2, "note " + n);
                insert.addBatch();
            }
            int total = Arrays.stream(insert.executeBatch()).map(count -> count == Statement.SUCCESS_NO_INFO ? 1 : count).sum();
            if (total != 500) {
                throw new IllegalStateException("of 500 rows " + total);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        Connection connection = connect();
        try (Statement statement = connection.createStatement()) {
            statement.execute("drop table if exists jdbc_things");
            statement.execute("create table jdbc_things (id serial primary key, note text not null, price numeric(10, 2) default 1.5, tags text[])");
            statement.execute("comment on column jdbc_things.note is 'what it says'");
        }

        check("the process id is the server's", () ->
            value(connection, "select pg_backend_pid()").equals(List.of(List.of(connection.unwrap(PGConnection.class).getBackendPID()))));

        check("values there and back, as text and as binary", () -> {
            List<Object> seen = new ArrayList<>();
            try (PreparedStatement ask = connection.prepareStatement(
                    "select ?::bool, ?::int2, ?::int4, ?::int8, ?::float4, ?::float8, ?::numeric, ?::text, ?::bytea, ?::date, ?::timestamptz, ?::uuid, ?::int4[], ?::jsonb")) {
                PGobject document = new PGobject();
                document.setType("jsonb");
                document.setValue("{\"a\": [1, null]}");
                // From the fifth time on it is prepared by name, and what can be is transferred in binary.
                for (int n = 0; n < 8; n++) {
                    ask.setBoolean(1, true);
                    ask.setShort(2, (short) -3);
                    ask.setInt(3, 70000);
                    ask.setLong(4, 1L << 62);
                    ask.setFloat(5, 1.5f);
                    ask.setDouble(6, -0.1);
                    ask.setBigDecimal(7, new BigDecimal("12345.678900"));
                    ask.setString(8, "sch\u00f6n");
                    ask.setBytes(9, new byte[] {0, -1});
                    ask.setObject(10, LocalDate.of(2020, 2, 29));
                    ask.setObject(11, OffsetDateTime.parse("2021-05-04T03:02:01Z"));
                    ask.setObject(12, new UUID(0, 77));
                    ask.setArray(13, connection.createArrayOf("int4", new Object[] {1, null, 3}));
                    ask.setObject(14, document);
                    try (ResultSet result = ask.executeQuery()) {
                        seen.add(rows(result));
                    }
                }
            }
            return seen.get(0) + " then " + seen.get(7);
        });

        check("each of its query modes", () -> {
            List<Object> seen = new ArrayList<>();
            for (String mode : List.of("simple", "extended", "extendedForPrepared", "extendedCacheEverything")) {
                try (Connection own = connect("preferQueryMode", mode)) {
                    for (int n = 0; n < 6; n++) {
                        try (PreparedStatement ask = own.prepareStatement("select ? || 'x', ?::int + 1")) {
                            ask.setString(1, "it's " + n);
                            ask.setInt(2, n);
                            try (ResultSet result = ask.executeQuery()) {
                                seen.add(rows(result));
                            }
                        }
                        seen.add(value(own, "select 1; "));
                    }
                    try (Statement statement = own.createStatement()) {
                        statement.execute("select 1; select 2, 'b'; update jdbc_things set note = 'x' where id = -1");
                        statement.getMoreResults();
                        seen.add(rows(statement.getResultSet()));
                        statement.getMoreResults();
                        seen.add(statement.getUpdateCount());
                    }
                }
            }
            return seen;
        });

        check("batches, rewritten and not", () -> {
            batch(connection, 1000);
            try (Connection own = connect("reWriteBatchedInserts", "true")) {
                batch(own, 2000);
                own.setAutoCommit(false);
                batch(own, 3000);
                own.rollback();
            }
            return value(connection, "select count(*), min(id), max(id) from jdbc_things");
        });

        check("a batch with an error in it", () -> {
            try (Statement statement = connection.createStatement()) {
                statement.addBatch("insert into jdbc_things (id, note) values (4000, 'a')");
                statement.addBatch("insert into jdbc_things (id, note) values (4000, 'b')");
                statement.addBatch("insert into jdbc_things (id, note) values (4001, 'c')");
                return Arrays.toString(statement.executeBatch());
            } catch (BatchUpdateException error) {
                return error.getSQLState() + Arrays.toString(error.getUpdateCounts()) + value(connection, "select count(*) from jdbc_things where id >= 4000");
            }
        });

        check("generated keys", () -> {
            try (PreparedStatement insert = connection.prepareStatement("insert into jdbc_things (note) values (?)", Statement.RETURN_GENERATED_KEYS)) {
                insert.setString(1, "generated");
                insert.executeUpdate();
                List<Object> keys = new ArrayList<>(rows(insert.getGeneratedKeys()));
                insert.setString(1, "of a batch");
                insert.addBatch();
                insert.setString(1, "of a batch, too");
                insert.addBatch();
                insert.executeBatch();
                keys.addAll(rows(insert.getGeneratedKeys()));
                return keys;
            }
        });

        check("a fetch size", () -> {
            connection.setAutoCommit(false);
            long sum = 0;
            int[] sizes = {7, 100, 0};
            for (int size : sizes) {
                try (PreparedStatement ask = connection.prepareStatement("select n from generate_series(1, 1000) n")) {
                    ask.setFetchSize(size);
                    try (ResultSet result = ask.executeQuery()) {
                        while (result.next()) {
                            sum += result.getInt(1);
                        }
                    }
                }
            }
            try (Statement two = connection.createStatement(); Statement other = connection.createStatement()) {
                two.setFetchSize(3);
                other.setFetchSize(2);
                ResultSet a = two.executeQuery("select n from generate_series(1, 9) n");
                ResultSet b = other.executeQuery("select n from generate_series(101, 109) n");
                while (a.next() && b.next()) {
                    sum += a.getInt(1) * b.getInt(1);
                }
            }
            connection.commit();
            connection.setAutoCommit(true);
            return sum;
        });

        check("a result that scrolls and updates", () -> {
            try (Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
                 ResultSet result = statement.executeQuery("select id, note from jdbc_things where id between 1000 and 1010 order by id")) {
                result.absolute(3);
                result.updateString("note", "updated in place");
                result.updateRow();
                result.last();
                result.deleteRow();
                return value(connection, "select count(*), max(note) from jdbc_things where id between 1000 and 1010");
            }
        });

        check("CopyManager", () -> {
            CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
            StringBuilder text = new StringBuilder();
            for (int n = 5000; n < 7000; n++) {
                text.append(n).append(",\"copied, ").append(n).append("\"\n");
            }
            long in = copies.copyIn("copy jdbc_things (id, note) from stdin (format csv)", new StringReader(text.toString()));
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            long rows = copies.copyOut("copy (select id, note from jdbc_things where id >= 5000 order by id) to stdout (format csv)", out);
            String failed = "";
            try {
                copies.copyIn("copy jdbc_things (id, note) from stdin", new StringReader("5000\tdouble\n"));
            } catch (SQLException error) {
                failed = error.getSQLState();
            }
            return in + " " + rows + " " + out.size() + " " + failed + value(connection, "select 'goes on'");
        });

        check("metadata of the database", () -> {
            DatabaseMetaData data = connection.getMetaData();
            List<Object> seen = new ArrayList<>();
            seen.add(data.getDatabaseProductVersion());
            seen.add(data.getUserName());
            seen.add(data.getMaxConnections());
            seen.add(rows(data.getTables(null, "public", "jdbc%", new String[] {"TABLE"})));
            seen.add(rows(data.getColumns(null, "public", "jdbc_things", "%")));
            seen.add(rows(data.getPrimaryKeys(null, "public", "jdbc_things")));
            seen.add(rows(data.getImportedKeys(null, "public", "orders")));
            seen.add(rows(data.getExportedKeys(null, "public", "people")));
            seen.add(rows(data.getSchemas()));
            seen.add(rows(data.getTableTypes()));
            seen.add(rows(data.getTablePrivileges(null, "public", "jdbc_things")).size());
            seen.add(rows(data.getTypeInfo()).size() > 100);
            seen.add(rows(data.getFunctions(null, "pg_catalog", "lower")).size());
            seen.add(rows(data.getProcedureColumns(null, "pg_catalog", "lower", null)).size());
            try (ResultSet indexes = data.getIndexInfo(null, "public", "jdbc_things", true, false)) {
                indexes.next();
                seen.add(indexes.getString("INDEX_NAME") + indexes.getString("COLUMN_NAME"));
            }
            seen.add(data.getSQLKeywords().length() > 100);
            return seen;
        });

        check("metadata of results and parameters", () -> {
            try (PreparedStatement ask = connection.prepareStatement("select id, note as other, price from jdbc_things where id = ? and note like ?")) {
                ResultSetMetaData columns = ask.getMetaData();
                ParameterMetaData parameters = ask.getParameterMetaData();
                List<Object> seen = new ArrayList<>();
                for (int n = 1; n <= columns.getColumnCount(); n++) {
                    seen.add(columns.getColumnLabel(n) + " " + columns.getColumnTypeName(n) + " " + columns.isNullable(n) + " " + columns.isAutoIncrement(n)
                        + " " + columns.getPrecision(n) + " " + ((org.postgresql.PGResultSetMetaData) columns).getBaseColumnName(n)
                        + " " + columns.getTableName(n));
                }
                return seen + parameters.getParameterTypeName(1) + parameters.getParameterTypeName(2);
            }
        });

        check("transactions, savepoints, isolation", () -> {
            List<Object> seen = new ArrayList<>();
            connection.setAutoCommit(false);
            connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            Savepoint savepoint = connection.setSavepoint("one");
            for (String text : List.of("insert into jdbc_things (id, note) values (1000, 'twice')", "select 1")) {
                try (Statement statement = connection.createStatement()) {
                    statement.execute(text);
                } catch (PSQLException error) {
                    ServerErrorMessage said = error.getServerErrorMessage();
                    seen.add(error.getSQLState() + " " + said.getDetail() + " " + said.getTable() + " " + said.getConstraint());
                }
            }
            connection.rollback(savepoint);
            seen.add(value(connection, "show transaction_isolation"));
            connection.rollback();
            connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            connection.setReadOnly(true);
            try (Statement statement = connection.createStatement()) {
                statement.executeUpdate("delete from jdbc_things");
            } catch (SQLException error) {
                seen.add(error.getSQLState());
            }
            connection.rollback();
            connection.setReadOnly(false);
            connection.setAutoCommit(true);
            return seen;
        });

        check("errors are healed by savepoints of the driver", () -> {
            try (Connection own = connect("autosave", "always"); Statement statement = own.createStatement()) {
                own.setAutoCommit(false);
                statement.executeUpdate("insert into jdbc_things (id, note) values (8000, 'kept')");
                String failed = "";
                try {
                    statement.executeUpdate("insert into jdbc_things (id, note) values (8000, 'twice')");
                } catch (SQLException error) {
                    failed = error.getSQLState();
                }
                Object count = value(own, "select count(*) from jdbc_things where id = 8000");
                own.rollback();
                return failed + count;
            }
        });

        check("a prepared statement outlives a change of its table", () -> {
            List<Object> seen = new ArrayList<>();
            try (Statement statement = connection.createStatement(); PreparedStatement ask = connection.prepareStatement("select * from jdbc_things where id = 1001")) {
                for (int n = 0; n < 7; n++) {
                    rows(ask.executeQuery());
                }
                statement.execute("alter table jdbc_things add more int default 7");
                seen.add(rows(ask.executeQuery()));
            }
            return seen;
        });

        check("warnings", () -> {
            try (Statement statement = connection.createStatement()) {
                statement.execute("drop table if exists jdbc_nothing; do $$ begin raise warning 'beware'; end $$");
                List<Object> seen = new ArrayList<>();
                for (SQLWarning warning = statement.getWarnings(); warning != null; warning = warning.getNextWarning()) {
                    seen.add(warning.getSQLState() + " " + warning.getMessage());
                }
                return seen;
            }
        });

        check("notifications", () -> {
            try (Connection own = connect(); Statement statement = own.createStatement(); Statement other = connection.createStatement()) {
                statement.execute("listen jdbc_channel");
                other.execute("notify jdbc_channel, 'hello'");
                PGNotification[] heard = own.unwrap(PGConnection.class).getNotifications(20000);
                return heard[0].getName() + " " + heard[0].getParameter();
            }
        });

        check("a function is called", () -> {
            try (CallableStatement call = connection.prepareCall("{ ? = call upper(?) }")) {
                call.registerOutParameter(1, Types.VARCHAR);
                call.setString(2, "called");
                call.execute();
                return call.getString(1);
            }
        });

        check("cancel", () -> {
            try (Statement statement = connection.createStatement()) {
                boolean[] done = {false};
                Thread again = new Thread(() -> {
                    while (!done[0]) {
                        try {
                            Thread.sleep(200);
                            statement.cancel();
                        } catch (Exception error) {
                            return;
                        }
                    }
                });
                again.start();
                try {
                    statement.execute("select pg_sleep(60)");
                    return "slept";
                } catch (SQLException error) {
                    return error.getSQLState() + " " + error.getMessage();
                } finally {
                    done[0] = true;
                    again.join();
                }
            }
        });

        check("a query time-out", () -> {
            try (Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(1);
                statement.execute("select pg_sleep(60)");
                return "slept";
            }
        });

        check("several hosts, and which of them", () -> {
            String good = "localhost:" + System.getenv("PGPORT");
            Properties properties = new Properties();
            properties.setProperty("user", System.getenv("PGUSER"));
            properties.setProperty("password", System.getenv("PGPASSWORD"));
            properties.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
            properties.setProperty("sslmode", "verify-full");
            properties.setProperty("targetServerType", "primary");
            try (Connection own = DriverManager.getConnection("jdbc:postgresql://localhost:1," + good + "/postgres", properties)) {
                return value(own, "select 'reached'");
            }
        });

        check("large objects", () -> {
            connection.setAutoCommit(false);
            try {
                return connection.unwrap(PGConnection.class).getLargeObjectAPI().createLO() > 0;
            } finally {
                connection.rollback();
                connection.setAutoCommit(true);
            }
        });

        check("a schema in the connection's properties", () -> {
            try (Connection own = connect("currentSchema", "pg_catalog")) {
                return own.getSchema();
            }
        });

        check("options in the connection's properties", () -> {
            try (Connection own = connect("options", "-c statement_timeout=7s")) {
                return value(own, "show statement_timeout");
            }
        });

        try (Statement statement = connection.createStatement()) {
            statement.execute("drop table jdbc_things");
        }
        connection.close();
    }
}
