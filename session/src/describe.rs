//! How an app becomes the description of an executor.

use muster_api::{
    ExecutorId, Resources,
    spec::{AppSpec, Artifact},
    task::LABEL_LEASE,
};
use muster_proto::{
    CommandInfo, Environment, ExecutorInfo, ExecutorType, Labels, Resource, Uri, Variable,
};
use prost::Message;

/// What starts the executor of an app without a command. Our agents say where their program is;
/// on others `muster` must be in the path.
pub const BUILTIN_COMMAND: &str = "exec \"${MUSTER_PROGRAM:-muster}\" executor";

/// The same where agents are not ours: they fetch the program to this name in the folder of the
/// executor. One that is ours says where its own is all the same.
pub const FETCHED_COMMAND: &str = "exec \"${MUSTER_PROGRAM:-./muster}\" executor";

/// The name of our program in the folder of an executor that fetches it.
const PROGRAM: &str = "muster";

/// The label that holds the checksum of the artifact at `index`, which Mesos has no field for.
pub fn label_sha256(index: usize) -> String {
    format!("muster.sha256.{index}")
}

/// The description of an executor of `app`, as bytes of an `ExecutorInfo`. Nothing in it varies
/// from launch to launch.
pub fn describe_executor(id: ExecutorId, app: &AppSpec) -> Vec<u8> {
    describe(id, app, BUILTIN_COMMAND).encode_to_vec()
}

/// The same for the agents of others, which fetch our program from `program` first. It is there for
/// every app: the command of one may run it too.
pub fn describe_fetched_executor(id: ExecutorId, app: &AppSpec, program: &str) -> Vec<u8> {
    let mut info = describe(id, app, FETCHED_COMMAND);
    if let Some(command) = &mut info.command {
        command.uris.push(Uri {
            value: program.to_owned(),
            executable: Some(true),
            extract: Some(false),
            cache: Some(true),
            output_file: Some(PROGRAM.to_owned()),
        });
    }
    info.encode_to_vec()
}

fn describe(id: ExecutorId, app: &AppSpec, builtin: &str) -> ExecutorInfo {
    let mut labels = vec![
        (LABEL_LEASE.to_owned(), app.lease.to_string()),
        ("muster.app".to_owned(), app.name.to_string()),
    ];
    for (index, artifact) in app.artifacts.iter().enumerate() {
        if let Some(sha256) = &artifact.sha256 {
            labels.push((label_sha256(index), sha256.clone()));
        }
    }
    let variables = app
        .env
        .iter()
        .map(|(name, value)| Variable {
            name: name.clone(),
            value: Some(value.clone()),
            ..Variable::default()
        })
        .collect();
    ExecutorInfo {
        executor_id: Some(muster_proto::ExecutorId::new(id.to_string())),
        resources: resources(&app.resources),
        command: Some(CommandInfo {
            uris: app.artifacts.iter().map(uri).collect(),
            environment: Some(Environment { variables }),
            value: Some(app.command.clone().unwrap_or_else(|| builtin.to_owned())),
            shell: Some(true),
            ..CommandInfo::default()
        }),
        name: Some(app.name.to_string()),
        labels: Some(Labels::of(labels)),
        r#type: Some(ExecutorType::Custom as i32),
        ..ExecutorInfo::default()
    }
}

fn uri(artifact: &Artifact) -> Uri {
    Uri {
        value: artifact.uri.clone(),
        executable: Some(artifact.executable),
        extract: Some(artifact.extract),
        cache: Some(artifact.cache),
        output_file: None,
    }
}

/// Resources as Mesos writes them.
pub(crate) fn resources(resources: &Resources) -> Vec<Resource> {
    resources.iter().map(|(name, amount)| Resource::scalar(name, amount.as_f64())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_holds_what_the_agent_needs_and_nothing_that_varies() {
        let app = AppSpec::parse(serde_json::json!({
            "name": "reports",
            "command": "./start",
            "resources": {"cpus": 0.5, "mem": 128},
            "artifacts": [{"uri": "file:///a.tar", "sha256": "ab".repeat(32)}],
            "env": {"TZ": "UTC"},
            "lease": "1m",
        }))
        .unwrap()
        .spec;
        let id = ExecutorId::from_uuid(uuid::Uuid::nil());
        let bytes = describe_executor(id, &app);
        assert_eq!(bytes, describe_executor(id, &app));
        let info = ExecutorInfo::decode(bytes.as_slice()).unwrap();
        assert_eq!(info.encode_to_vec(), bytes);
        let labels = info.labels.unwrap();
        assert_eq!(labels.get(LABEL_LEASE), Some("1m"));
        assert_eq!(labels.get(&label_sha256(0)), Some("ab".repeat(32).as_str()));
        assert_eq!(info.command.unwrap().value.as_deref(), Some("./start"));
    }

    #[test]
    fn agents_of_others_fetch_the_program_whatever_the_app_runs() {
        let app = |command: Option<&str>| {
            let mut app = serde_json::json!({"name": "a", "resources": {"cpus": 1, "mem": 32}});
            if let Some(command) = command {
                app["command"] = command.into();
                app["artifacts"] = serde_json::json!([{"uri": "file:///a.tar"}]);
            }
            AppSpec::parse(app).unwrap().spec
        };
        let id = ExecutorId::from_uuid(uuid::Uuid::nil());
        for (own, runs, uris) in [(None, FETCHED_COMMAND, 1), (Some("./start"), "./start", 2)] {
            let bytes = describe_fetched_executor(id, &app(own), "http://here/muster");
            assert_eq!(bytes, describe_fetched_executor(id, &app(own), "http://here/muster"));
            let command = ExecutorInfo::decode(bytes.as_slice()).unwrap().command.unwrap();
            assert_eq!(command.value.as_deref(), Some(runs));
            assert_eq!(command.uris.len(), uris);
            let program = command.uris.last().unwrap();
            assert_eq!(program.value, "http://here/muster");
            assert_eq!((program.executable, program.extract), (Some(true), Some(false)));
            assert_eq!(program.output_file.as_deref(), Some("muster"));
        }
    }
}
