//! The JSON schema of a module's settings, as people read it: each setting with what it takes and what it is for.
//!
//! A module writes its schema itself. What this does not know of JSON Schema it leaves out; `--json` has all of it.

use serde_json::Value;

/// One line of an outline is not wider than this, in characters, where its words allow.
const WIDTH: usize = 100;

/// The settings, and after them what they are made of, in lines.
pub(super) fn outline(schema: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    section("Settings", schema, &mut lines);
    for (name, definition) in schema.get("$defs").and_then(Value::as_object).into_iter().flatten() {
        lines.push(String::new());
        section(name, definition, &mut lines);
    }
    lines
}

/// What one table, word or text is.
fn section(title: &str, schema: &Value, lines: &mut Vec<String>) {
    let about = text(schema, "description");
    let head = if about.is_empty() { title.to_owned() } else { format!("{title}: {about}") };
    wrap(&head, 0, lines);
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    for (name, setting) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let must = if required.contains(&name.as_str()) { ", required" } else { "" };
        wrap(&format!("{name} = {}{must}", kind(setting)), 2, lines);
        wrap(text(setting, "description"), 6, lines);
    }
    for one in alternatives(schema) {
        wrap(&format!("{}: {}", kind(one), text(one, "description")), 2, lines);
    }
}

/// What a setting takes.
fn kind(schema: &Value) -> String {
    if let Some(constant) = schema.get("const") {
        return constant.to_string();
    }
    if let Some(name) = text(schema, "$ref").strip_prefix("#/$defs/") {
        return name.to_owned();
    }
    let others: Vec<String> =
        alternatives(schema).filter(|schema| text(schema, "type") != "null").map(kind).collect();
    if !others.is_empty() {
        return others.join(" | ");
    }
    let name = match schema.get("type") {
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or_default()
        }
        Some(Value::String(name)) => name,
        _ => "",
    };
    match name {
        "array" => {
            let items = schema.get("items").map(kind).unwrap_or_default();
            format!("[{items}, ...]")
        }
        "object" => {
            let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
            let fields: Vec<_> = fields.map(|(name, field)| format!("{name} = {}", kind(field))).collect();
            if fields.is_empty() { "table".to_owned() } else { format!("{{ {} }}", fields.join(", ")) }
        }
        "string" => "text".to_owned(),
        "boolean" => "true | false".to_owned(),
        "integer" | "number" => "number".to_owned(),
        _ => "value".to_owned(),
    }
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["oneOf", "anyOf"].into_iter().filter_map(|list| schema.get(list)?.as_array());
    lists.flatten()
}

fn text<'v>(schema: &'v Value, name: &str) -> &'v str {
    schema.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Puts the words of a text on as many lines as they need.
fn wrap(text: &str, indent: usize, lines: &mut Vec<String>) {
    let margin = " ".repeat(indent);
    let mut line = margin.clone();
    for word in text.split_whitespace() {
        if line.len() > indent && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, margin.clone()));
        }
        if line.len() > indent {
            line.push(' ');
        }
        line.push_str(word);
    }
    if line.len() > indent {
        lines.push(line);
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_listed_with_what_they_take() {
        let schema = json!({
            "description": "What is refused.",
            "properties": {
                "rules": {
                    "type": ["array", "null"],
                    "items": { "$ref": "#/$defs/Rule" },
                    "description": "Rules, of which the first that fits a request decides what becomes of it, whatever those that follow would say. Default: none."
                },
                "strict": { "type": "boolean" },
                "method": { "oneOf": [
                    { "const": "redact" },
                    { "type": "object", "properties": { "partial": { "type": "integer" } } }
                ] },
                "unheard_of": { "not": {} }
            },
            "$defs": {
                "Rule": {
                    "properties": {
                        "decision": { "$ref": "#/$defs/Decision", "description": "What becomes of it." },
                        "name": { "anyOf": [{ "$ref": "#/$defs/Name" }, { "type": "null" }] }
                    },
                    "required": ["decision"]
                },
                "Decision": { "oneOf": [
                    { "const": "allow", "description": "Forward it." },
                    { "const": "block", "description": "Refuse it." }
                ] },
                "Name": { "type": "string", "description": "Letters." }
            }
        });
        expect![[r#"
            Settings: What is refused.
              method = "redact" | { partial = number }
              rules = [Rule, ...]
                  Rules, of which the first that fits a request decides what becomes of it, whatever those that
                  follow would say. Default: none.
              strict = true | false
              unheard_of = value

            Decision
              "allow": Forward it.
              "block": Refuse it.

            Name: Letters.

            Rule
              decision = Decision, required
                  What becomes of it.
              name = Name
        "#]].assert_eq(&(outline(&schema).join("\n") + "\n"));
    }

    #[test]
    fn no_line_is_wider_than_its_longest_word_makes_it() {
        let mut lines = Vec::new();
        wrap(&"word ".repeat(100), 6, &mut lines);
        wrap(&"x".repeat(200), 2, &mut lines);
        let widths: Vec<_> = lines.iter().map(String::len).collect();
        expect!["[100, 100, 100, 100, 100, 30, 202]"].assert_eq(&format!("{widths:?}"));
    }
}
