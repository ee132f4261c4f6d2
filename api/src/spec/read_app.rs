//! Reading an app as a user sends it.

use serde_json::Value;

use super::{
    AppSpec, Artifact, InvalidDocument, Lease, Parsed,
    document::read_document,
    reader::Fields,
    values::{filled_text, flag, parsed, process_text, span, text, text_entry, variable, whole},
};
use crate::{Span, limits};

impl AppSpec {
    /// Reads the document of an app; the error names every fault in it.
    pub fn parse(document: Value) -> Result<Parsed<Self>, InvalidDocument> {
        read_document("app", document, read_app)
    }
}

fn read_app(fields: &mut Fields<'_>) -> Option<AppSpec> {
    let name = fields.required("name", parsed);
    let command = fields.optional("command", filled_text);
    let artifacts = fields.list("artifacts", read_artifact);
    let env = fields.entries("env", variable);
    let resources = fields.resources();
    let lease = fields.or("lease", Lease::default(), lease);
    let idle_timeout = fields.or("idle_timeout", Span::from_secs(300), span);
    let max_tasks = fields.or("max_tasks", 0, whole(0..=u32::MAX));
    let event_sampling = fields.or("event_sampling", 0, whole(0..=limits::EVENT_SAMPLING_MAX));
    let labels = fields.entries("labels", text_entry);
    let description = fields.or("description", String::new(), text);
    Some(AppSpec {
        name: name?,
        command: command?,
        artifacts: artifacts?,
        env: env?,
        resources: resources?,
        lease: lease?,
        idle_timeout: idle_timeout?,
        max_tasks: max_tasks?,
        event_sampling: event_sampling?,
        labels: labels?,
        description: description?,
    })
}

fn read_artifact(fields: &mut Fields<'_>) -> Option<Artifact> {
    let uri = fields.required("uri", uri);
    let sha256 = fields.optional("sha256", sha256);
    let extract = fields.or("extract", true, flag);
    let executable = fields.or("executable", false, flag);
    let cache = fields.or("cache", true, flag);
    Some(Artifact {
        uri: uri?,
        sha256: sha256?,
        extract: extract?,
        executable: executable?,
        cache: cache?,
    })
}

fn lease(value: &Value) -> Result<Lease, String> {
    let lease = span(value)?;
    match lease {
        Lease::For(span) if !(limits::LEASE_MIN..=limits::LEASE_MAX).contains(&span.duration()) => {
            Err(format!("`{span}` is no lease; it is 15s to 24h, or `off`"))
        }
        lease => Ok(lease),
    }
}

/// `file:///path` or `http://host/...`.
fn uri(value: &Value) -> Result<String, String> {
    let uri = process_text(value)?;
    if uri.chars().any(|c| c.is_control() || c == ' ') {
        return Err(format!("`{uri}` holds a blank; write it as %20"));
    }
    if uri.starts_with("https://") {
        return Err(format!("`{uri}`: https is not supported yet; use http and a sha256"));
    }
    let file = uri.strip_prefix("file:///").is_some_and(|path| !path.is_empty());
    let http = uri
        .strip_prefix("http://")
        .is_some_and(|rest| !matches!(rest.chars().next(), None | Some('/')));
    if file || http {
        Ok(uri)
    } else {
        Err(format!("`{uri}` is neither file:///absolute/path nor http://host/path"))
    }
}

/// In lower case, so that one checksum has one spelling.
fn sha256(value: &Value) -> Result<String, String> {
    let sum = text(value)?.to_ascii_lowercase();
    if sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(sum)
    } else {
        Err(format!("`{sum}` is no SHA-256; it has 64 hexadecimal digits"))
    }
}
