//! JSON-RPC bodies. What is passed on is written anew from what was understood, so that no other reader of the same
//! bytes can find another method in them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::refusal::JsonRpcRefusal;

/// Longest id that is text, in bytes.
const MAX_ID: usize = 128;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Call {
    jsonrpc: String,
    method: String,
    #[serde(default)]
    params: Vec<Value>,
    id: Id,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Id {
    Number(u64),
    Text(String),
}

/// The body to pass on for one call of an allowed method without parameters.
///
/// # Errors
/// When the body is anything else: a batch, a call with parameters, a notification, keys twice or unknown.
pub(crate) fn checked(body: &[u8], allowed: &[String]) -> Result<Vec<u8>, JsonRpcRefusal> {
    let call: Call = serde_json::from_slice(body).map_err(|_| JsonRpcRefusal::Shape)?;
    let odd_id = matches!(&call.id, Id::Text(id) if id.len() > MAX_ID);
    if call.jsonrpc != "2.0" || !call.params.is_empty() || odd_id {
        return Err(JsonRpcRefusal::Shape);
    }
    if !allowed.contains(&call.method) {
        return Err(JsonRpcRefusal::Method(call.method.chars().take(64).collect()));
    }
    Ok(serde_json::to_vec(&call).expect("text, numbers and an empty list make JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> Result<String, JsonRpcRefusal> {
        let allowed = ["eth_syncing".to_owned()];
        checked(body.as_bytes(), &allowed).map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn a_call_of_a_listed_method_is_written_anew() {
        let expected = r#"{"jsonrpc":"2.0","method":"eth_syncing","params":[],"id":1}"#;
        for body in [
            r#"{"id":1,"jsonrpc":"2.0","method":"eth_syncing"}"#,
            r#" {"id":1,"params":[],"jsonrpc":"2.0","method":"\u0065th_syncing"} "#,
        ] {
            assert_eq!(check(body).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn refuses_every_other_shape() {
        for body in [
            "",
            "{}",
            "[]",
            r#"[{"id":1,"jsonrpc":"2.0","method":"eth_syncing"}]"#,
            r#"{"jsonrpc":"2.0","method":"eth_syncing"}"#,
            r#"{"id":null,"jsonrpc":"2.0","method":"eth_syncing"}"#,
            r#"{"id":1,"jsonrpc":"1.0","method":"eth_syncing"}"#,
            r#"{"id":1,"jsonrpc":"2.0","method":"eth_syncing","params":["x"]}"#,
            r#"{"id":1,"jsonrpc":"2.0","method":"eth_syncing","params":{}}"#,
            r#"{"id":1,"jsonrpc":"2.0","method":"eth_syncing","method":"admin_peers"}"#,
            r#"{"id":1,"jsonrpc":"2.0","method":"eth_syncing","Method":"admin_peers"}"#,
            r#"{"id":1,"jsonrpc":"2.0","method":"eth_syncing"}{"id":2,"jsonrpc":"2.0","method":"admin_peers"}"#,
            r#"{"id":{},"jsonrpc":"2.0","method":"eth_syncing"}"#,
        ] {
            assert_eq!(check(body), Err(JsonRpcRefusal::Shape), "{body}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(check(&deep), Err(JsonRpcRefusal::Shape));
    }

    #[test]
    fn refuses_methods_that_are_not_listed() {
        let body = r#"{"id":1,"jsonrpc":"2.0","method":"personal_unlockAccount"}"#;
        assert_eq!(check(body), Err(JsonRpcRefusal::Method("personal_unlockAccount".to_owned())));
    }
}
