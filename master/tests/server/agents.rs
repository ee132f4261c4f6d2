//! Agents: who is let in, and what passes between them and the core.

use std::time::Duration;

use muster_api::{AgentId, Mono, Now, Timestamp, limits, step::Records};
use muster_master::{
    core::{Effect, Event, Master},
    server::{Bounds, Connections, ReadLogError, ReadLogRequest},
};
use muster_proto::{
    agent::{
        self, AgentBody, FromAgent, HeartbeatAnswer, Hello, LogData, MasterBody, Refused,
        Unsupported,
    },
    recordio::{encode, encode_message},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{Client, Served, TERM, TOKEN, beat, mac, within};

#[test]
fn an_agent_registers_with_the_real_core_and_each_proves_itself_to_the_other() {
    within(async {
        let mut served = Served::new().await;
        let connections = served.connections.clone();
        let mut client = Client::dial(served.address).await;
        client.hello(TOKEN).await;
        client.send(TERM, beat(1)).await;
        let now = Now { wall: Timestamp::from_millis(0), mono: Mono::from_millis(0) };
        let (mut master, _) = Master::restore(1, &Records::new(), now).unwrap();
        for _ in 0..2 {
            let event = served.events.recv().await.unwrap();
            for effect in master.step(now, event).effects {
                if let Effect::ToAgent { connection, body } = effect {
                    connections.send(connection, body);
                }
            }
        }
        let Some(MasterBody::Welcome(welcome)) = client.receive().await else { panic!() };
        let input = agent::master_proof_input(&client.master_nonce, &[9; 32]);
        assert_eq!(welcome.proof, mac(TOKEN, &input));
        assert_eq!(welcome.agent_id.unwrap().value, master.agents(now)[0].id.as_str());
        let answer = MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 1 });
        assert_eq!(client.receive().await, Some(answer));

        drop(client);
        assert!(matches!(served.events.recv().await, Some(Event::Disconnected { .. })));
    });
}

#[test]
fn a_wrong_token_a_tampered_proof_and_a_short_nonce_are_refused_before_the_core_hears_of_them() {
    within(async {
        let mut served = Served::new().await;
        let mut client = Client::dial(served.address).await;
        client.hello("another token").await;
        let refused = client.refused().await;
        assert!(refused.message.contains("join token") && !refused.retry);

        for tamper in [
            (|hello| hello.proof[0] ^= 1) as fn(&mut Hello),
            |hello| hello.nonce[31] ^= 1,
            |hello| hello.proof.truncate(31),
            |hello| hello.proof.clear(),
        ] {
            let mut client = Client::dial(served.address).await;
            let mut hello = client.new_hello(TOKEN);
            tamper(&mut hello);
            client.send(0, Some(AgentBody::Hello(hello))).await;
            client.refused().await;
        }
        let mut client = Client::dial(served.address).await;
        let mut hello = client.new_hello(TOKEN);
        hello.nonce.clear();
        hello.proof = mac(TOKEN, &agent::agent_proof_input(&client.master_nonce, &[]));
        client.send(0, Some(AgentBody::Hello(hello))).await;
        client.refused().await;
        assert!(served.events.try_recv().is_err());
    });
}

#[test]
fn an_unknown_version_and_a_newer_term_are_refused_with_a_reason() {
    within(async {
        let served = Served::new().await;
        let mut client = Client::dial(served.address).await;
        let hello = Hello { version: 99, ..client.new_hello(TOKEN) };
        client.send(TERM, Some(AgentBody::Hello(hello))).await;
        let refused = client.refused().await;
        assert!(refused.message.contains("version 99") && !refused.retry, "{}", refused.message);

        let mut client = Client::dial(served.address).await;
        let hello = client.new_hello(TOKEN);
        client.send(TERM + 1, Some(AgentBody::Hello(hello))).await;
        let refused = client.refused().await;
        assert!(refused.message.contains("term 8") && refused.retry, "{}", refused.message);
    });
}

#[test]
fn slow_and_silent_handshakes_are_cut() {
    within(async {
        let handshake = Duration::from_millis(50);
        let mut served = Served::within(Bounds { handshake, ..Bounds::default() }).await;
        let mut silent = TcpStream::connect(served.address).await.unwrap();
        assert_eq!(silent.read(&mut [0; 10]).await.unwrap_or(0), 0);
        let mut client = Client::dial(served.address).await;
        client.stream.write_all(b"1000\nonly a part").await.unwrap();
        assert_eq!(client.receive().await, None);
        assert!(served.events.try_recv().is_err());
    });
}

#[test]
fn connections_that_are_not_proved_are_bounded_and_the_oldest_has_to_go() {
    within(async {
        let mut served = Served::within(Bounds { unproved: 1, ..Bounds::default() }).await;
        let mut silent = TcpStream::connect(served.address).await.unwrap();
        let mut undecided = Client::dial(served.address).await;
        assert_eq!(silent.read(&mut [0; 10]).await.unwrap_or(0), 0, "it made room for the second");
        let mut proved = Client::dial(served.address).await;
        assert_eq!(undecided.receive().await, None, "it made room for the third");
        proved.hello(TOKEN).await;
        assert!(matches!(served.events.recv().await, Some(Event::Hello { .. })));
        Client::dial(served.address).await;
    });
}

#[test]
fn damage_ends_its_own_connection_only() {
    within(async {
        let mut served = Served::new().await;
        let (mut good, _) = served.welcomed("good").await;
        let mut undecodable = Vec::new();
        encode(&[0xff; 20], &mut undecodable);
        let mut wrong_term = Vec::new();
        encode_message(&FromAgent { term: TERM - 1, body: beat(1) }, &mut wrong_term);
        for damage in [b"no number\n".to_vec(), b"99999999999\n".to_vec(), undecodable, wrong_term]
        {
            let (mut bad, connection) = served.welcomed("bad").await;
            bad.stream.write_all(&damage).await.unwrap();
            assert_eq!(served.events.recv().await, Some(Event::Disconnected { connection }));
            assert_eq!(bad.receive().await, None);
        }
        good.send(TERM, beat(1)).await;
        assert!(matches!(served.events.recv().await, Some(Event::FromAgent { .. })));
    });
}

#[test]
fn a_message_of_an_unknown_kind_is_answered_unsupported() {
    within(async {
        let mut served = Served::new().await;
        let (mut client, _) = served.welcomed("a").await;
        client.send(TERM, None).await;
        let unsupported = MasterBody::Unsupported(Unsupported {});
        assert_eq!(client.receive().await, Some(unsupported));
    });
}

#[test]
fn nothing_is_lost_or_reordered_when_the_core_is_slow() {
    within(async {
        let mut served = Served::new().await;
        let (mut client, connection) = served.welcomed("a").await;
        let count = 20_000;
        let sender = tokio::spawn(async move {
            for number in 1..=count {
                client.send(TERM, beat(number)).await;
            }
        });
        for number in 1..=count {
            let body = beat(number).unwrap();
            assert_eq!(served.events.recv().await, Some(Event::FromAgent { connection, body }));
        }
        sender.await.unwrap();
        assert_eq!(served.events.recv().await, Some(Event::Disconnected { connection }));
    });
}

#[test]
fn what_was_sent_before_a_close_arrives() {
    within(async {
        let mut served = Served::new().await;
        let (mut client, connection) = served.welcomed("a").await;
        let refused = Refused { message: "go away".into(), retry: true, ..Refused::default() };
        served.connections.send(connection, MasterBody::Refused(refused.clone()));
        served.connections.close(connection);
        assert_eq!(client.refused().await, refused);
        assert_eq!(served.events.recv().await, Some(Event::Disconnected { connection }));
    });
}

/// Who hears that it is gone ends all that it runs, so only the master may say that.
#[test]
fn a_refusal_of_a_gone_agent_has_the_masters_proof() {
    within(async {
        let mut served = Served::new().await;
        let (mut client, connection) = served.welcomed("a").await;
        let refused = Refused { message: "you are gone".into(), gone: true, ..Refused::default() };
        served.connections.send(connection, MasterBody::Refused(refused));
        served.connections.close(connection);
        let input = agent::master_proof_input(&client.master_nonce, &[9; 32]);
        assert_eq!(client.refused().await.proof, mac(TOKEN, &input));
    });
}

fn request() -> ReadLogRequest {
    ReadLogRequest {
        task: "t1".into(),
        executor: "e1".into(),
        stream: "stdout".into(),
        offset: 5,
        limit: u32::MAX,
        wait: Duration::ZERO,
    }
}

#[test]
fn a_log_is_read_past_the_core() {
    within(async {
        let mut served = Served::new().await;
        let agent: AgentId = "a".parse().unwrap();
        let lost = Err(ReadLogError::NotConnected { agent: agent.clone() });
        assert_eq!(served.connections.read_log(&agent, request()).await, lost);

        let (mut client, _) = served.welcomed("a").await;
        let ask = |connections: Connections, agent: AgentId| {
            tokio::spawn(async move { connections.read_log(&agent, request()).await })
        };
        let answer = async |client: &mut Client, data: LogData| {
            let asked = ask(served.connections.clone(), agent.clone());
            let Some(MasterBody::ReadLog(read)) = client.receive().await else { panic!() };
            assert_eq!((read.offset, read.limit), (5, limits::LOG_CHUNK_BYTES));
            let data = LogData { request: read.request, ..data };
            client.send(TERM, Some(AgentBody::LogData(data))).await;
            asked.await.unwrap()
        };
        let data = LogData { data: b"output".to_vec(), size: 11, ..LogData::default() };
        let got = answer(&mut client, data.clone()).await.unwrap();
        assert_eq!((got.data, got.size), (data.data, 11));
        let data = LogData { error: "no such task".into(), ..LogData::default() };
        let message = "no such task".into();
        let error = ReadLogError::Agent { agent: agent.clone(), message };
        assert_eq!(answer(&mut client, data).await, Err(error));

        let asked = ask(served.connections.clone(), agent.clone());
        assert!(matches!(client.receive().await, Some(MasterBody::ReadLog(_))));
        drop(client);
        assert_eq!(asked.await.unwrap(), lost, "the agent is lost before it answers");
        assert!(matches!(served.events.recv().await, Some(Event::Disconnected { .. })));
    });
}

#[test]
fn what_agents_have_no_use_for_is_answered_and_never_switched() {
    within(async {
        let served = Served::new().await;
        for (request, status) in [
            ("GET /health", "200"),
            ("GET /", "404"),
            ("POST /health", "405"),
            ("POST /muster/v1/agent", "404"),
            ("GET /muster/v1/agent", "404"),
        ] {
            let mut stream = TcpStream::connect(served.address).await.unwrap();
            let request = format!("{request} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        }
    });
}

#[test]
fn shutdown_ends_the_connections() {
    within(async {
        let mut served = Served::new().await;
        let (mut client, _) = served.welcomed("a").await;
        served.stop.send(()).unwrap();
        served.ended.await.unwrap();
        assert_eq!(client.receive().await, None);
    });
}
