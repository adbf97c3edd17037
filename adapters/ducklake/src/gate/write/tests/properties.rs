//! Whatever comes in, the reader answers; and it reads a statement the same however it is spaced and spelled.

use proptest::prelude::*;

use super::super::*;
use super::engine::parses;
use super::show::show;
use crate::sql::ident;

/// Pieces of SQL; spaces stand between them.
const PIECES: &str = "\
    INSERT INTO UPDATE DELETE FROM MERGE USING ON CONFLICT DO NOTHING SET WHERE WHEN MATCHED NOT THEN AND CASE END \
    CREATE TABLE VIEW SCHEMA ALTER DROP COLUMN ADD RENAME TO TYPE PRIMARY KEY COPY COMMENT IS DISTINCT NULL DEFAULT \
    VALUES WITH AS BY NAME IF EXISTS OR REPLACE TEMP TRUNCATE EXPLAIN ANALYZE RETURNING SELECT WITHIN GROUP ORDINALITY \
    ( ) [ ] { } , . ; = * - + -- /* */ ' '' 'a' \" $$ $t$ $1 ? $ e' \\ U&' x' t u a 1 1.5e3 : :: ü \u{a0} \0 \n \"a\"";

fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES.split(' ').collect::<Vec<_>>());
    let between = prop::sample::select(vec!["", " ", "  "]);
    prop::collection::vec((piece, between), 0..40).prop_map(|pieces| {
        pieces.into_iter().map(|(piece, between)| format!("{piece}{between}")).collect::<Vec<_>>().concat()
    })
}

/// Half of the soups begin as statements do.
fn statement_soup() -> impl Strategy<Value = String> {
    let head = prop::sample::select(vec![
        "",
        "INSERT INTO t ",
        "INSERT INTO t VALUES (1) ON CONFLICT ",
        "UPDATE t SET a = ",
        "DELETE FROM t ",
        "MERGE INTO t USING u ON a WHEN ",
        "CREATE TABLE t (a ",
        "CREATE TABLE t AS SELECT ",
        "ALTER TABLE t ",
        "COPY t TO 'x' (",
        "WITH x AS (SELECT 1) ",
        "COMMENT ON ",
    ]);
    (head, soup()).prop_map(|(head, soup)| format!("{head}{soup}"))
}

/// A token and whether a space must stand before it.
type Written = Vec<String>;

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z][a-z0-9_]{0,6}".prop_map(|name| format!("n_{name}")), "[a-zA-Zü \"'.;$?/*-]{1,8}"]
}

fn table() -> impl Strategy<Value = Name> {
    (prop::option::of(name()), prop::option::of(name()), name()).prop_map(|(catalog, schema, table)| Name {
        catalog: catalog.filter(|_| schema.is_some()),
        schema,
        table,
    })
}

fn expression() -> impl Strategy<Value = Part> {
    prop::sample::select(vec![
        "1",
        "a",
        "u.from",
        "'it''s WHERE'",
        "a IS NOT DISTINCT FROM b",
        "CASE WHEN a THEN b ELSE c END",
        "(SELECT 1 FROM u WHERE x)",
        "f(a, b)",
        "[1, 2]",
        "a BETWEEN 1 AND 2",
        "$$ ; $$",
        "x::TIMESTAMP WITH TIME ZONE",
        "-1",
        "a /* SET b = 2, */ + 1",
        "extract(year FROM d)",
        "\"SET\"",
        "e'\\' FROM'",
        "$other",
        "$name",
        "x -> 'a'",
        "NOT a OR b IN (1, 2)",
        "a -- WHERE\n + 2",
    ])
    .prop_map(|text| Part(text.to_owned()))
}

fn query() -> impl Strategy<Value = Part> {
    prop::sample::select(vec![
        "SELECT 1",
        "VALUES (1, 2), (3, 4)",
        "FROM u",
        "WITH x AS (SELECT 1) SELECT * FROM x WHERE a",
        "TABLE u",
        "SELECT a AS do, b AS with FROM u JOIN v ON u.a = v.a ORDER BY 1 LIMIT 2",
        "SELECT ';' -- ;\n FROM u",
    ])
    .prop_map(|text| Part(text.to_owned()))
}

fn names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(name(), 0..4)
}

fn set() -> impl Strategy<Value = Vec<(String, Part)>> {
    prop::collection::vec((name(), expression()), 1..4).prop_map(|list| {
        let number = |(place, (name, part)): (usize, (String, Part))| (format!("{name}{place}"), part);
        list.into_iter().enumerate().map(number).collect()
    })
}

fn conflict() -> impl Strategy<Value = Conflict> {
    prop_oneof![
        Just(Conflict::Refuse),
        Just(Conflict::Replace),
        names().prop_map(|key| Conflict::Ignore { key }),
        (names(), set(), prop::option::of(expression())).prop_map(|(key, set, filter)| Conflict::Update {
            key,
            set,
            filter
        }),
    ]
}

fn insert() -> impl Strategy<Value = Statement> {
    (table(), prop::option::of(name()), names(), query(), conflict()).prop_map(
        |(name, alias, columns, rows, conflict)| {
            Statement::Insert(Insert { name, alias, by_name: false, columns, rows: Some(rows), conflict })
        },
    )
}

fn tables() -> impl Strategy<Value = Part> {
    prop::sample::select(vec![
        "u",
        "u AS \"where\"",
        "u JOIN v ON u.a IS DISTINCT FROM v.a, w",
        "(SELECT 1 WHERE a) AS x",
        "u LEFT JOIN v USING (a)",
        "range(3) AS r(n)",
    ])
    .prop_map(|text| Part(text.to_owned()))
}

fn update() -> impl Strategy<Value = Statement> {
    (table(), prop::option::of(name()), set(), prop::option::of(tables()), prop::option::of(expression()), with())
        .prop_map(|(name, alias, set, from, filter, with)| {
            Statement::Update(Update { with, name, alias, set, from, filter })
        })
}

fn delete() -> impl Strategy<Value = Statement> {
    (table(), prop::option::of(name()), prop::option::of(tables()), prop::option::of(expression()), with())
        .prop_map(|(name, alias, using, filter, with)| Statement::Delete(Delete { with, name, alias, using, filter }))
}

fn with() -> impl Strategy<Value = Part> {
    prop::sample::select(vec![
        "",
        "WITH x AS (SELECT 1)",
        "WITH RECURSIVE x (a) AS MATERIALIZED (FROM y), z AS (VALUES (1))",
    ])
    .prop_map(|text| Part(text.to_owned()))
}

fn merge() -> impl Strategy<Value = Statement> {
    let action = prop_oneof![
        set().prop_map(Action::Update),
        Just(Action::Delete),
        Just(Action::DoNothing),
        Just(Action::Error),
        (names(), prop::collection::vec(expression(), 1..4)).prop_map(|(columns, values)| Action::Insert {
            columns,
            values,
            by_name: false
        }),
    ];
    // Conditions everywhere but behind, where none may follow.
    let branch = (expression(), action, any::<bool>()).prop_map(|(condition, action, by_source)| {
        let when = match action {
            Action::Insert { .. } => When::NotMatched,
            _ if by_source => When::NotMatchedBySource,
            _ => When::Matched,
        };
        Branch { when, condition: Some(condition), action }
    });
    let source = prop::sample::select(vec!["u", "u AS v", "(FROM u JOIN x ON y) AS s"]);
    let on = prop_oneof![
        expression().prop_map(MergeOn::Condition),
        prop::collection::vec(name(), 1..3).prop_map(MergeOn::Columns)
    ];
    (table(), prop::option::of(name()), source, on, prop::collection::vec(branch, 1..4), any::<bool>(), with())
        .prop_map(|(name, alias, source, on, mut branches, open, with)| {
            if let Some(last) = branches.last_mut().filter(|_| open) {
                last.condition = None;
            }
            Statement::Merge(Merge { with, name, alias, source: Part(source.to_owned()), on, branches })
        })
}

fn create() -> impl Strategy<Value = Statement> {
    let types =
        vec!["int", "DECIMAL(10, 2)", "TIMESTAMP WITH TIME ZONE", "STRUCT(a INT, \"b c\" VARCHAR)[]", "ENUM('a', 'b')"];
    let defaults = vec!["1", "-1.5", "'it''s'", "TRUE", "NULL"];
    let column = (name(), prop::sample::select(types), any::<bool>(), prop::option::of(prop::sample::select(defaults)))
        .prop_map(|(name, data_type, not_null, default)| ColumnDefinition {
            name,
            data_type: data_type.to_owned(),
            not_null,
            default: default.map(str::to_owned),
        });
    let columns = prop::collection::vec(column, 1..4);
    (table(), columns, names(), prop::option::of(query()), any::<[bool; 4]>(), names()).prop_map(
        |(name, mut columns, primary_key, query, flags, sorted)| {
            for (place, column) in columns.iter_mut().enumerate() {
                column.name = format!("{}{place}", column.name);
            }
            let filled = query.is_some();
            if filled {
                columns = columns
                    .into_iter()
                    .map(|column| ColumnDefinition {
                        data_type: String::new(),
                        not_null: false,
                        default: None,
                        ..column
                    })
                    .collect();
            }
            Statement::CreateTable(CreateTable {
                name,
                temporary: flags[0],
                or_replace: flags[1],
                if_not_exists: flags[2] && !flags[1],
                columns,
                primary_key: if filled { Vec::new() } else { primary_key },
                partitioned_by: Vec::new(),
                sorted_by: sorted.iter().map(|name| ident(name)).collect(),
                query,
                no_data: flags[3] && filled,
            })
        },
    )
}

fn statement() -> impl Strategy<Value = Statement> {
    prop_oneof![insert(), update(), delete(), merge(), create()]
}

/// Writes statements down as lists of tokens.
#[derive(Default)]
struct Writer(Written);

impl Writer {
    fn words(&mut self, words: &str) -> &mut Self {
        self.0.extend(words.split_whitespace().map(str::to_owned));
        self
    }

    fn push(&mut self, token: impl Into<String>) -> &mut Self {
        let token = token.into();
        if !token.is_empty() {
            self.0.push(token);
        }
        self
    }

    fn name(&mut self, name: &Name) -> &mut Self {
        for part in [&name.catalog, &name.schema].into_iter().flatten() {
            self.identifier(part).push(".");
        }
        self.identifier(&name.table)
    }

    fn identifier(&mut self, name: &str) -> &mut Self {
        let plain =
            name.starts_with("n_") && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        self.push(if plain { name.to_owned() } else { ident(name) })
    }

    fn alias(&mut self, alias: Option<&String>) -> &mut Self {
        if let Some(alias) = alias {
            self.words("AS").identifier(alias);
        }
        self
    }

    fn separated<T>(&mut self, items: &[T], one: impl Fn(&mut Self, &T)) -> &mut Self {
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                self.push(",");
            }
            one(self, item);
        }
        self
    }

    fn list(&mut self, names: &[String]) -> &mut Self {
        if names.is_empty() {
            return self;
        }
        self.push("(").separated(names, |writer, name| {
            writer.identifier(name);
        });
        self.push(")")
    }

    fn set(&mut self, set: &[(String, Part)]) -> &mut Self {
        self.separated(set, |writer, (name, part)| {
            writer.identifier(name).push("=").push(&*part.0);
        })
    }

    fn part(&mut self, words: &str, part: Option<&Part>) -> &mut Self {
        if let Some(part) = part {
            self.words(words).push(&*part.0);
        }
        self
    }

    fn insert(&mut self, insert: &Insert) {
        let or = if insert.conflict == Conflict::Replace { "OR REPLACE" } else { "" };
        self.words("INSERT").words(or).words("INTO").name(&insert.name).alias(insert.alias.as_ref());
        self.list(&insert.columns).part("", insert.rows.as_ref());
        match &insert.conflict {
            Conflict::Refuse | Conflict::Replace => {}
            Conflict::Ignore { key } => {
                self.words("ON CONFLICT").list(key).words("DO NOTHING");
            }
            Conflict::Update { key, set, filter } => {
                self.words("ON CONFLICT").list(key).words("DO UPDATE SET").set(set).part("WHERE", filter.as_ref());
            }
        }
    }

    fn merge(&mut self, merge: &Merge) {
        self.push(&*merge.with.0).words("MERGE INTO").name(&merge.name).alias(merge.alias.as_ref());
        self.part("USING", Some(&merge.source));
        match &merge.on {
            MergeOn::Condition(condition) => {
                self.part("ON", Some(condition));
            }
            MergeOn::Columns(columns) => {
                self.words("USING").list(columns);
            }
        }
        for branch in &merge.branches {
            self.words(match branch.when {
                When::Matched => "WHEN MATCHED",
                When::NotMatched => "WHEN NOT MATCHED",
                When::NotMatchedBySource => "WHEN NOT MATCHED BY SOURCE",
            });
            self.part("AND", branch.condition.as_ref()).words("THEN");
            match &branch.action {
                Action::Update(set) => {
                    self.words("UPDATE SET").set(set);
                }
                Action::Delete => {
                    self.words("DELETE");
                }
                Action::DoNothing => {
                    self.words("DO NOTHING");
                }
                Action::Error => {
                    self.words("ERROR");
                }
                Action::Insert { columns, values, .. } => {
                    self.words("INSERT").list(columns).words("VALUES (");
                    self.separated(values, |writer, value| {
                        writer.push(&*value.0);
                    })
                    .push(")");
                }
            }
        }
    }

    fn create(&mut self, create: &CreateTable) {
        self.words("CREATE").words(if create.or_replace { "OR REPLACE" } else { "" });
        self.words(if create.temporary { "TEMP" } else { "" }).words("TABLE");
        self.words(if create.if_not_exists { "IF NOT EXISTS" } else { "" }).name(&create.name);
        self.push("(").separated(&create.columns, |writer, column| {
            writer.identifier(&column.name).push(&*column.data_type);
            writer.words(if column.not_null { "NOT NULL" } else { "" });
            if let Some(default) = &column.default {
                writer.words("DEFAULT").push(default.as_str());
            }
        });
        if !create.primary_key.is_empty() {
            self.words(", PRIMARY KEY").list(&create.primary_key);
        }
        self.push(")");
        if !create.sorted_by.is_empty() {
            self.words("SORTED BY (")
                .separated(&create.sorted_by, |writer, key| {
                    writer.push(key.as_str());
                })
                .push(")");
        }
        self.part("AS", create.query.as_ref()).words(if create.no_data { "WITH NO DATA" } else { "" });
    }

    fn statement(mut self, statement: &Statement) -> Written {
        match statement {
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => {
                self.push(&*update.with.0).words("UPDATE").name(&update.name).alias(update.alias.as_ref()).words("SET");
                self.set(&update.set).part("FROM", update.from.as_ref()).part("WHERE", update.filter.as_ref());
            }
            Statement::Delete(delete) => {
                self.push(&*delete.with.0).words("DELETE FROM").name(&delete.name).alias(delete.alias.as_ref());
                self.part("USING", delete.using.as_ref()).part("WHERE", delete.filter.as_ref());
            }
            Statement::Merge(merge) => self.merge(merge),
            Statement::CreateTable(create) => self.create(create),
            other => panic!("not written here: {other:?}"),
        }
        self.0
    }
}

/// Puts something between the tokens, and changes the case of the words of heads.
fn spaced(tokens: &[String], gaps: &[&str], cases: &[u8]) -> String {
    let mut text = String::new();
    for (place, token) in tokens.iter().enumerate() {
        text.push_str(gaps[place % gaps.len()]);
        let is_word = token.bytes().all(|byte| byte.is_ascii_uppercase());
        match cases[place % cases.len()] % 3 {
            0 if is_word => text.push_str(&token.to_ascii_lowercase()),
            1 if is_word => text.extend([&token[..1], &token[1..].to_ascii_lowercase()]),
            _ => text.push_str(token),
        }
    }
    text
}

thread_local! {
    static ENGINE: duckdb::Connection = duckdb::Connection::open_in_memory().unwrap();
}

/// Constants that hold marks, whole and broken, and semicolons between them.
fn constants() -> impl Strategy<Value = String> {
    let pieces = r#"'a;' e'\';' e'\\' '\' $$;$$ $t$;$$;$t$ $t$ $$ ' '' /*;*/ /* */ 1 --; a$t$ $1 b.$c$ "a;" " 'x''; + - ->> e ? 1e 0x1"#;
    let piece = prop::sample::select(pieces.split(' ').collect::<Vec<_>>());
    let between = prop::sample::select(vec!["", " ", "\n", ";SELECT ", ",", ";", "\u{a0} "]);
    prop::collection::vec((piece, between), 1..8).prop_map(|pieces| {
        format!(
            "SELECT {}",
            pieces.into_iter().map(|(piece, between)| format!("{piece}{between}")).collect::<Vec<_>>().concat()
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), soup in soup(), statement in statement_soup()) {
        for sql in [&text, &soup, &statement] {
            let _ = read(sql);
            let _ = split(sql);
            let _ = classify(sql);
        }
    }

    #[test]
    fn what_is_read_is_one_statement(sql in statement_soup()) {
        if let Ok(statement) = read(&sql) && statement != Statement::Read {
            prop_assert_eq!(split(&sql).unwrap().len(), 1);
            prop_assert!(!show(&statement).contains('\0'));
        }
    }

    #[test]
    fn statements_end_where_they_do_for_the_engine(sql in constants()) {
        let query = "SELECT json_serialize_sql(?::VARCHAR)";
        let tree: String = ENGINE.with(|engine| engine.query_row(query, [&sql], |row| row.get(0)).unwrap());
        let tree: serde_json::Value = serde_json::from_str(&tree).unwrap();
        if let (Some(theirs), Ok(ours)) = (tree["statements"].as_array(), split(&sql)) {
            prop_assert_eq!(theirs.len(), ours.len(), "{}", sql);
        }
    }

    #[test]
    fn a_statement_is_read_however_it_is_spaced(
        statement in statement(),
        gaps in prop::collection::vec(prop::sample::select(vec![
            " ", "\n", "\t ", " /* ; ' */ ", "--;'\"\n", "/* a /* b */ $$ */", "\u{a0} ", " -- $1 ?\r", "\u{c}\r\n", " /**/ ",
        ]), 1..12),
        cases in prop::collection::vec(any::<u8>(), 1..8),
        end in prop::sample::select(vec!["", ";", " ; -- done", "\n;;/* ; */"]),
    ) {
        let sql = format!("{}{end}", spaced(&Writer::default().statement(&statement), &gaps, &cases));
        // The engine no longer takes U+00A0 for a space behind a quote in a comment.
        let parsed = ENGINE.with(|engine| parses(engine, &sql.replace('\u{a0}', " ")));
        prop_assert!(parsed.is_ok(), "{sql}: {parsed:?}");
        prop_assert_eq!(read(&sql).map_err(|error| format!("{error}: {sql}")), Ok(statement));
    }
}
