"""What SQLAlchemy is known for: reflection, the expression language, the ORM, results that stream; over two drivers."""

import asyncio
import datetime
import decimal
import os
import ssl

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from check import check, check_async

URL = sa.URL.create("postgresql+psycopg", os.environ["PGUSER"], os.environ["PGPASSWORD"], "localhost",
                    int(os.environ["PGPORT"]), os.environ["PGDATABASE"])
engine = sa.create_engine(URL)
metadata = sa.MetaData()

things = sa.Table(
    "sa_things", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("note", sa.String(40), nullable=False, index=True, comment="what it says"),
    sa.Column("price", sa.Numeric(10, 2), server_default="1.50"),
    sa.Column("tags", pg.ARRAY(sa.Text)),
    sa.Column("doc", pg.JSONB),
    sa.Column("made", sa.DateTime(timezone=True)),
    sa.Column("mood", sa.Enum("sad", "glad", name="sa_mood")),
    sa.Column("span", pg.INT4RANGE),
    sa.CheckConstraint("price >= 0", name="sa_price"),
    sa.UniqueConstraint("note", "price", name="sa_once"),
    sa.Index("sa_partial", sa.text("lower(note)"), postgresql_where=sa.text("price > 1")),
    comment="things of SQLAlchemy",
)


class Base(orm.DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "sa_authors"
    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    name: orm.Mapped[str]
    books: orm.Mapped[list["Book"]] = orm.relationship(back_populates="author", order_by="Book.id")


class Book(Base):
    __tablename__ = "sa_books"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str]
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("sa_authors.id", ondelete="CASCADE"))
    author: orm.Mapped[Author] = orm.relationship(back_populates="books")


metadata.drop_all(engine)
Base.metadata.drop_all(engine)


@check("tables are made, and made only once")
def _():
    metadata.create_all(engine)
    metadata.create_all(engine)
    Base.metadata.create_all(engine)
    return sorted(name for name in sa.inspect(engine).get_table_names() if name.startswith("sa_"))


@check("reflection")
def _():
    inspector = sa.inspect(engine)
    columns = [(c["name"], str(c["type"]), c["nullable"], c["default"], c.get("comment")) for c in inspector.get_columns("sa_things")]
    return columns, inspector.get_pk_constraint("sa_things"), inspector.get_indexes("sa_things"), \
        inspector.get_unique_constraints("sa_things"), inspector.get_check_constraints("sa_things"), \
        inspector.get_foreign_keys("sa_books"), inspector.get_table_comment("sa_things"), inspector.get_enums(), \
        sorted(inspector.get_schema_names()), inspector.get_view_names(), sorted(inspector.get_sequence_names()), \
        inspector.get_materialized_view_names()


@check("reflection of everything at once")
def _():
    own = sa.MetaData()
    own.reflect(engine, views=True)
    return sorted((table.name, [column.name for column in table.columns]) for table in own.tables.values()), \
        own.tables["sa_books"].c.author_id.references(own.tables["sa_authors"].c.id)


@check("domains, and a view")
def _():
    with engine.begin() as conn:
        conn.exec_driver_sql("create domain sa_small as int check (value < 10)")
        conn.exec_driver_sql("create view sa_view as select id, note from sa_things")
    inspector = sa.inspect(engine)
    out = inspector.get_domains(), inspector.get_view_definition("sa_view")
    with engine.begin() as conn:
        conn.exec_driver_sql("drop view sa_view")
        conn.exec_driver_sql("drop domain sa_small")
    return out


@check("many rows at once, returned")
def _():
    rows = [{"id": n, "note": f"note {n}", "price": decimal.Decimal(n), "tags": ["a", None], "doc": {"n": n},
             "made": datetime.datetime(2021, 5, 4, tzinfo=datetime.timezone.utc), "mood": "glad", "span": pg.Range(n, n + 5)}
            for n in range(1, 3001)]
    with engine.begin() as conn:
        returned = conn.execute(things.insert().returning(things.c.id, sort_by_parameter_order=True), rows).scalars().all()
        count = conn.scalar(sa.select(sa.func.count()).select_from(things))
        return len(returned), returned[:3], count, conn.execute(sa.select(things).where(things.c.id == 7)).one()


@check("expressions")
def _():
    with engine.connect() as conn:
        ranked = sa.select(things.c.id, sa.func.row_number().over(order_by=things.c.id.desc()).label("n")).subquery()
        tree = sa.select(sa.literal(1).label("n")).cte("t", recursive=True)
        tree = tree.union_all(sa.select(tree.c.n + 1).where(tree.c.n < 10))
        upsert = pg.insert(things).values(id=1, note="changed").on_conflict_do_update(index_elements=["id"], set_={"note": "changed"})
        return conn.execute(sa.select(ranked).where(ranked.c.n <= 2)).all(), conn.scalar(sa.select(sa.func.sum(tree.c.n))), \
            conn.execute(upsert.returning(things.c.note)).one(), \
            conn.scalar(sa.select(sa.func.count()).where(things.c.doc["n"].as_integer() > 2990)), \
            conn.scalar(sa.select(sa.func.count()).where(things.c.tags.contains(["a"]))), \
            conn.execute(sa.update(things).where(things.c.id.in_([1, 2])).values(price=things.c.price + 1)).rowcount, \
            conn.execute(sa.select(things.c.note).with_for_update(skip_locked=True).where(things.c.id == 2)).all(), \
            conn.execute(sa.delete(things).where(sa.tuple_(things.c.id, things.c.note) == (3, "note 3"))).rowcount


@check("results that stream")
def _():
    with engine.connect().execution_options(stream_results=True, max_row_buffer=100) as conn:
        result = conn.execute(sa.select(things.c.id).order_by(things.c.id))
        parts = [len(part) for part in result.partitions(700)]
        return parts


@check("errors by class")
def _():
    out = []
    with engine.connect() as conn:
        for statement in (things.insert().values(id=1, note="twice"), things.insert().values(id=9999),
                          sa.text("select * from sa_nowhere"), sa.text("select 1 / 0"), sa.text("select 'x'::int")):
            try:
                conn.execute(statement)
            except sa.exc.DBAPIError as error:
                out.append((type(error).__name__, error.orig.sqlstate, error.connection_invalidated))
            conn.rollback()
    return out


@check("savepoints and isolation")
def _():
    with engine.connect() as conn:
        with conn.begin():
            with conn.begin_nested() as nested:
                conn.execute(things.delete())
                nested.rollback()
            count = conn.scalar(sa.select(sa.func.count()).select_from(things))
    with engine.connect().execution_options(isolation_level="SERIALIZABLE", postgresql_readonly=True) as conn:
        return count, conn.exec_driver_sql("show transaction_isolation").scalar(), conn.exec_driver_sql("show transaction_read_only").scalar(), \
            conn.get_isolation_level(), conn.default_isolation_level


@check("the ORM")
def _():
    with orm.Session(engine) as session:
        session.add_all([Author(name=f"author {n}", books=[Book(title=f"book {n} {m}") for m in range(3)]) for n in range(20)])
        session.commit()
        author = session.scalars(sa.select(Author).options(orm.selectinload(Author.books)).where(Author.name == "author 5")).one()
        titles = [book.title for book in author.books]
        author.books[0].title = "renamed"
        session.flush()
        joined = session.execute(sa.select(Author.name, sa.func.count(Book.id)).join(Author.books).group_by(Author.name)
                                 .order_by(Author.name).limit(2)).all()
        session.delete(session.get(Author, author.id + 1).books[1])
        session.commit()
        session.refresh(author)
        streamed = sum(1 for _ in session.scalars(sa.select(Book).execution_options(yield_per=10)))
        return titles, joined, author.books[0].title, streamed


@check("a pool that asks before it lends")
def _():
    own = sa.create_engine(URL, pool_pre_ping=True, pool_size=2)
    for _ in range(3):
        with own.connect() as conn:
            value = conn.scalar(sa.text("select 1"))
    own.dispose()
    return value


@check_async("over asyncpg")
async def over_asyncpg():
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    own = create_async_engine(URL.set(drivername="postgresql+asyncpg"), connect_args={"ssl": context})
    out = []
    async with own.connect() as conn:
        out.append((await conn.execute(sa.select(things).where(things.c.id == 8))).one())
        names = await conn.run_sync(lambda sync: [c["name"] for c in sa.inspect(sync).get_columns("sa_things")])
        out.append(names)
        result = await conn.stream(sa.select(things.c.id).order_by(things.c.id))
        out.append(sum([row.id async for row in result]))
        await conn.rollback()
    async with AsyncSession(own) as session:
        session.add(Author(name="async", books=[Book(title="await")]))
        await session.commit()
        found = await session.scalars(sa.select(Author).options(orm.joinedload(Author.books)).where(Author.name == "async"))
        out.append([book.title for book in found.unique().one().books])
        await session.rollback()
    async with own.connect() as conn:
        try:
            await conn.execute(things.insert().values(id=1, note="twice"))
        except sa.exc.IntegrityError as error:
            out.append(error.orig.sqlstate)
    await own.dispose()
    return out


asyncio.run(over_asyncpg())


@check("tables are dropped")
def _():
    Base.metadata.drop_all(engine)
    metadata.drop_all(engine)
    return [name for name in sa.inspect(engine).get_table_names() if name.startswith("sa_")]
