//! The API's description: complete, true to the file that is committed, and readable.

use crate::world::*;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn document() -> Value {
    serde_json::from_str(&qqq_http::openapi()).unwrap()
}

/// All operations: method, path, and what is said of them.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item)| {
        METHODS.iter().filter_map(move |method| Some((*method, path, Value::get(item, method)?)))
    };
    paths.iter().map(|(path, item)| (path.as_str(), item)).flat_map(of).collect()
}

/// Follows a reference into the document.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).expect(reference),
        None => value,
    }
}

#[test]
fn the_committed_description_is_the_one_the_code_gives() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let committed = std::fs::read_to_string(file).unwrap();
    assert!(
        committed == qqq_http::openapi(),
        "docs/openapi.json is not what the code gives: renew it with\n\n    \
         cargo run --package qqq-tracker -- openapi > docs/openapi.json\n"
    );
}

#[test]
fn every_operation_says_what_it_is_and_what_it_answers() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let operations = operations(&document);
    let ids: BTreeSet<_> =
        operations.iter().map(|(_, _, one)| one["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations.len(), "every operation has an id of its own");
    for (method, path, operation) in operations {
        let what = format!("{method} {path}");
        assert!(!operation["summary"].as_str().unwrap_or_default().is_empty(), "{what}: a summary");
        for parameter in operation["parameters"].as_array().unwrap_or(&vec![]) {
            assert!(!parameter["description"].as_str().unwrap_or_default().is_empty(), "{what}: {parameter}");
        }
        let responses = operation["responses"].as_object().unwrap();
        for status in ["400", "500", "503"] {
            assert!(responses.contains_key(status), "{what}: {status}");
        }
        if let Some(body) = operation["requestBody"]["content"].as_object() {
            assert!(!body.is_empty());
            assert!(
                ["408", "413", "415", "422", "429"].iter().all(|status| responses.contains_key(*status)),
                "{what}"
            );
        }
        for (status, response) in responses {
            let response = resolve(&document, response);
            assert!(!response["description"].as_str().unwrap().is_empty(), "{what} {status}");
            assert!(response["headers"]["x-request-id"].is_object(), "{what} {status}");
            let content = response["content"].as_object();
            let bare = matches!(status.as_str(), "204" | "303" | "304");
            assert_eq!(content.is_none(), bare, "{what} {status}: a body");
            if status.starts_with(['4', '5']) {
                assert!(content.unwrap().contains_key("application/problem+json"), "{what} {status}");
            }
            if matches!(status.as_str(), "429" | "503") {
                assert!(response["headers"]["retry-after"].is_object(), "{what} {status}");
            }
        }
    }
}

#[test]
fn every_field_is_explained_and_every_reference_leads_somewhere() {
    let document = document();
    fn look(document: &Value, value: &Value, place: &str) {
        match value {
            Value::Object(members) => {
                resolve(document, value);
                if let Some(Value::Object(properties)) = members.get("properties") {
                    for (name, property) in properties {
                        let explained = property["description"].is_string()
                            || property["oneOf"]
                                .as_array()
                                .is_some_and(|all| all.iter().any(|one| !one["description"].is_null()))
                            || property["$ref"].is_string();
                        assert!(explained, "{place}.{name}: {property}");
                    }
                }
                members.iter().for_each(|(name, member)| look(document, member, &format!("{place}.{name}")));
            }
            Value::Array(items) => items.iter().for_each(|item| look(document, item, place)),
            _ => {}
        }
    }
    look(&document, &document, "");
}

#[tokio::test]
async fn it_is_served_as_committed_and_shown_with_all_its_parts() {
    let world = World::new().await;
    let router = world.router().await;
    let served = get(&router, "/openapi.json").await;
    // But for the metrics, of which it names those that are tracked.
    let mut expected = document();
    expected["components"]["schemas"]["Metric"]["enum"] = serde_json::json!(["price", "volume"]);
    assert_eq!(served.json(), expected);
    assert_eq!(served.header("content-type"), "application/json");
    let page = get(&router, "/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let page = page.text().replace("&#x2f;", "/");
    let document = document();
    for (method, path, operation) in operations(&document) {
        assert!(page.contains(&format!("<b>{}</b> {path}", method.to_uppercase())), "{method} {path}");
        assert!(page.contains(&format!("id=\"{}\"", operation["operationId"].as_str().unwrap())), "{path}");
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(page.contains(&format!("id=\"{name}\"")), "{name}");
        for field in schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys()) {
            assert!(page.contains(&format!("<code>{field}</code>")), "{name}.{field}");
        }
    }
    // Complete without anybody else: no script, nothing inline, every link leads to a place of ours.
    assert!(!page.contains("<script") && !page.contains("style="));
    for link in page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        match link.strip_prefix('#') {
            Some(anchor) => assert!(page.contains(&format!("id=\"{anchor}\"")), "{link}"),
            None => assert!(link.starts_with('/'), "{link}"),
        }
    }
}
