//! Nothing that was accepted is lost: the scheduler is killed at random moments in a stream of
//! submits and triggers.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use muster_api::clock;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cluster::{Api, Cluster, app, script, with};

/// Kills, unless `MUSTER_CHAOS_ROUNDS` says otherwise.
const ROUNDS: u32 = 5;
/// Users that submit and trigger at one time.
const USERS: u32 = 4;
/// The scheduler lives at most so long in each round.
const LIFE_MAX_MS: u64 = 400;

/// What the scheduler has said yes to.
#[derive(Debug, Default)]
struct Accepted {
    /// Documents: their path and what must be found there.
    documents: Vec<(String, Value)>,
    /// Ids of runs.
    runs: Vec<String>,
}

#[test]
fn what_was_accepted_survives_kills_at_random_moments() {
    let rounds = std::env::var("MUSTER_CHAOS_ROUNDS");
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"));
    let mut cluster = Cluster::new();
    let mut all = Accepted::default();
    for round in 0..rounds {
        let accepted = Arc::new(Mutex::new(Accepted::default()));
        let over = Arc::new(AtomicBool::new(false));
        let users: Vec<_> = (0..USERS)
            .map(|user| {
                let (api, accepted, over) = (cluster.api(), accepted.clone(), over.clone());
                let names = format!("r{round}-u{user}");
                thread::spawn(move || submit(&api, &names, &accepted, &over))
            })
            .collect();
        thread::park_timeout(random_life());
        cluster.scheduler().end(Signal::KILL);
        over.store(true, Ordering::Relaxed);
        users.into_iter().for_each(|user| user.join().unwrap());
        cluster.scheduler().start();
        cluster.scheduler().wait_until_ready();
        let mut accepted = accepted.lock().unwrap();
        check(&cluster.api(), &accepted);
        all.documents.append(&mut accepted.documents);
        all.runs.append(&mut accepted.runs);
    }
    // Nothing of the first rounds was lost in the last ones.
    check(&cluster.api(), &all);
    let (documents, runs) = (all.documents.len(), all.runs.len());
    eprintln!("{rounds} kills: {documents} documents and {runs} runs were all there");
    assert!(documents > 0 && runs > 0, "nothing was ever accepted");
}

/// Somewhere from the first request to a busy stream; another in each round and each test.
fn random_life() -> Duration {
    Duration::from_millis(clock::wall().as_millis().cast_unsigned() % LIFE_MAX_MS)
}

/// Submits and triggers until the scheduler is gone.
fn submit(api: &Api, names: &str, accepted: &Mutex<Accepted>, over: &AtomicBool) {
    for number in 0.. {
        if over.load(Ordering::Relaxed) || one_more(api, names, number, accepted).is_err() {
            return;
        }
    }
}

/// An app, a job, a second version of both, and two triggers.
fn one_more(api: &Api, names: &str, number: u32, accepted: &Mutex<Accepted>) -> io::Result<()> {
    let name = format!("{names}-{number}");
    let (app_path, job_path) = (format!("/v1/apps/{name}"), format!("/v1/jobs/{name}"));
    let put = |path: &str, document: &Value| -> io::Result<()> {
        let answer = api.send("PUT", path, &[], Some(document.to_string()))?;
        let answer = answer.expect(200..=201);
        let document = with(document.clone(), &json!({"version": answer.body["version"]}));
        let mut accepted = accepted.lock().unwrap();
        accepted.documents.retain(|(stored, _)| stored != path);
        accepted.documents.push((path.to_owned(), document));
        Ok(())
    };
    put(&app_path, &app(&name, &json!({})))?;
    let job = with(script(&name, 3, "true"), &json!({"app": name}));
    put(&job_path, &job)?;
    let trigger = || -> io::Result<()> {
        let path = format!("{job_path}/trigger");
        let answer = api.send("POST", &path, &[], None)?.expect(202..=202);
        accepted.lock().unwrap().runs.push(answer.body["id"].as_str().unwrap().to_owned());
        Ok(())
    };
    trigger()?;
    put(&job_path, &with(job, &json!({"description": "changed"})))?;
    trigger()
}

fn check(api: &Api, accepted: &Accepted) {
    for (path, document) in &accepted.documents {
        let stored = api.get(path).expect(200..=200).body;
        for (field, value) in document.as_object().unwrap() {
            let found = &stored[field];
            // A change whose answer was lost by the kill may be there too.
            let newer = match field.as_str() {
                "version" => found.as_u64() > value.as_u64(),
                "description" => stored["version"].as_u64() > document["version"].as_u64(),
                "script" | "sharding" | "resources" | "env" => continue,
                _ => false,
            };
            assert!(found == value || newer, "{path}: {field} of {stored}");
        }
    }
    for run in &accepted.runs {
        let stored = api.get(&format!("/v1/runs/{run}")).expect(200..=200).body;
        assert_eq!(stored["counts"]["pending"], 3, "{stored}");
    }
}
