//! What is a command line, and what is none.

use clap::CommandFactory as _;

use super::*;
use crate::screen::Format;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn flags_of_the_client_stand_anywhere() {
    for line in
        ["muster --server http://h:1 --output json jobs", "muster jobs --server http://h:1 -o json"]
    {
        let cli = parse(line).unwrap();
        let Command::Client(command) = cli.command else { panic!("{line}") };
        let flags = command.flags.or(cli.client);
        assert_eq!(flags.server, Some("http://h:1".parse().unwrap()));
        assert_eq!(flags.output, Some(Format::Json));
    }
    assert!(parse("muster jobs --server https://h").is_err());
    assert!(parse("muster jobs --output xml").is_err());
}

/// The names of the commands below one that do something themselves, each with the words before it.
fn leaves(command: &clap::Command, words: &[String], all: &mut Vec<Vec<String>>) {
    for own in command.get_subcommands().filter(|own| own.get_name() != "help") {
        let words = [words, &[own.get_name().to_owned()]].concat();
        leaves(own, &words, all);
        all.push(words);
    }
}

#[test]
fn every_client_command_has_them_and_so_has_every_order() {
    let clients = ClientCommand::augment_subcommands(clap::Command::default());
    let mut commands = Vec::new();
    leaves(&clients, &[], &mut commands);
    for line in ["jobs", "agents", "agents activate", "frameworks remove", "credentials list"] {
        assert!(commands.iter().any(|words| words.join(" ") == line), "{line}");
    }
    let mut all = Cli::command();
    all.build();
    for words in commands {
        let command = words.iter().try_fold(&mut all, |at, name| at.find_subcommand_mut(name));
        let help = command.unwrap().render_help().to_string();
        for flag in ["--server", "--token-file", "--output"] {
            assert!(help.contains(flag), "{words:?} {flag}: {help}");
        }
    }
    for line in [
        "muster agents drain h --server http://h:1 --output json",
        "muster agents --server http://h:1 drain h -o json",
        "muster roles -o table --server http://h:2 set r --weight 2 -o json --server http://h:1",
        "muster -o table credentials -o json --server http://h:1 revoke p",
    ] {
        let cli = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let Command::Client(command) = cli.command else { panic!("{line}") };
        let flags = command.flags.or(cli.client);
        assert_eq!(flags.server, Some("http://h:1".parse().unwrap()), "{line}");
        assert_eq!(flags.output, Some(Format::Json), "{line}");
    }
    assert!(parse("muster agents help --output json").is_err());
}

#[test]
fn servers_do_not_have_them() {
    let mut all = Cli::command();
    all.build();
    for name in ["dev", "scheduler", "agent", "executor", "supervise"] {
        let server = all.find_subcommand(name).unwrap();
        assert!(server.get_arguments().all(|arg| arg.get_id() != "server"), "{name}");
        assert!(parse(&format!("muster {name} --server http://h:1")).is_err(), "{name}");
    }
    let help = all.find_subcommand_mut("disable").unwrap().render_help().to_string();
    assert!(help.contains("--token-file") && help.contains("[env: MUSTER_SERVER]"), "{help}");
}

#[test]
fn servers_take_the_flags_of_the_design() {
    for line in [
        "muster dev --data-dir d --http 127.0.0.1:0 --master-listen 127.0.0.1:0 --agents 2 \
         --resources cpus:4;mem:4096",
        "muster scheduler --data-dir d --http 127.0.0.1:0 --master-listen 127.0.0.1:0",
        "muster scheduler --anonymous-frameworks --offer-timeout 90s",
        "muster dev --anonymous-frameworks=false --offer-timeout off",
        "muster agent --master h:1 --work-dir d --listen 127.0.0.1:0 --resources cpus:1;mem:64 \
         --attributes rack:r1;ssd:true --hostname n --join-token-file f --plaintext",
        "muster supervise --dir d",
        "muster executor",
    ] {
        let cli = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(matches!(cli.command, Command::Server(_)));
    }
    assert!(parse("muster dev --agents 65").is_err());
    assert!(parse("muster dev --offer-timeout 0s").is_err());
    assert!(parse("muster dev --resources cpus").is_err());
}

#[test]
fn stores_are_copied_and_looked_at() {
    for line in [
        "muster backup -o f",
        "muster --server http://h:1 backup --output - --token-file t",
        "muster restore --from f --data-dir d --store redb",
        "muster store inspect --data-dir d --output json",
    ] {
        let cli = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(matches!(cli.command, Command::Stored(_)), "{line}");
    }
    for line in ["muster backup", "muster restore --from f --data-dir d --store tape"] {
        assert!(parse(line).is_err(), "{line}");
    }
    for line in ["muster resume", "muster resume --replay -o json"] {
        assert!(parse(line).is_ok(), "{line}");
    }
    for line in ["muster dev --store redb", "muster scheduler --store sled"] {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn frameworks_are_listed_and_removed() {
    for line in ["muster frameworks", "muster frameworks remove 7-0001"] {
        assert!(parse(line).is_ok(), "{line}");
    }
    assert!(parse("muster frameworks remove").is_err(), "which?");
}

#[test]
fn runs_are_started_with_parameters() {
    let cli = parse("muster run nightly --wait --follow --items 0,2 --parameter p").unwrap();
    let Command::Client(WithFlags { command: ClientCommand::Run(args), .. }) = cli.command else {
        panic!("a run")
    };
    assert_eq!(args.stay, StayArgs { wait: true, follow: true });
    assert_eq!((args.items, args.parameter), (Some(vec![0, 2]), Some("p".into())));
    for bad in ["muster run", "muster run a:b"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
    let error = parse("muster run j --items 0,x").unwrap_err().to_string();
    assert!(error.contains("`x` is no shard"), "{error}");
}

#[test]
fn runs_are_repeated_in_whole_or_in_part() {
    let run = "019a0000-0000-7000-8000-000000000000";
    let cli = parse(&format!("muster rerun {run} --items 0,2 --wait")).unwrap();
    let Command::Client(WithFlags { command: ClientCommand::Rerun(args), .. }) = cli.command else {
        panic!("a rerun")
    };
    assert_eq!((args.run.to_string(), args.failed), (run.to_owned(), false));
    assert_eq!((args.items, args.stay.wait), (Some(vec![0, 2]), true));
    assert!(parse(&format!("muster rerun {run} --failed --follow")).is_ok());
    for bad in ["muster rerun", "muster rerun j", &format!("muster rerun {run} --failed --items 1")]
    {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn only_who_follows_begins_behind_an_event() {
    assert!(parse("muster events --follow --after 1767225600000-3 --kind run").is_ok());
    for bad in [
        "muster events --after 1767225600000-3",
        "muster events --follow --after 3",
        "muster events --follow --limit 5",
        "muster events --kind other",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn one_run_or_a_list_is_shown() {
    let run = "019a0000-0000-7000-8000-000000000000";
    assert!(parse(&format!("muster runs {run}")).is_ok());
    assert!(parse("muster runs --job j --state timed_out --limit 5").is_ok());
    for bad in [&format!("muster runs {run} --job j"), "muster runs --state odd", "muster runs x"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
    assert!(parse(&format!("muster logs {run} 0 --stream stderr --attempt 2")).is_ok());
    assert!(parse(&format!("muster logs {run} --attempt 2")).is_err());
    let error = parse("muster runs xyz").unwrap_err().to_string();
    assert!(error.contains("`xyz` is no id of a run"), "{error}");
}

#[test]
fn fires_are_shown_of_a_time() {
    let line = "muster fires j --from 2026-03-28T00:00:00Z --to 2026-03-29T00:00:00Z --limit 7";
    let Command::Client(WithFlags { command: ClientCommand::Fires(args), .. }) =
        parse(line).unwrap().command
    else {
        panic!("the fires of a job")
    };
    assert!(args.from < args.to && args.limit == 7);
    for bad in ["muster fires", "muster fires j --from monday", "muster fires j --limit 0"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn expressions_are_tried_in_place_of_a_job() {
    let line = ["muster", "next", "--cron", "0 30 2 * * ?", "--zone", "Europe/Berlin"];
    let more = ["--gap", "skip", "--overlap", "both", "--from", "2026-03-28T00:00:00Z"];
    let cli = Cli::try_parse_from(line.iter().chain(&more)).unwrap();
    let Command::Client(WithFlags { command: ClientCommand::Next(args), .. }) = cli.command else {
        panic!("the next fires")
    };
    assert_eq!((args.job, args.count), (None, 10));
    assert_eq!((args.gap, args.overlap), (Some(Gap::Skip), Some(Overlap::Both)));
    assert!(parse("muster next nightly --count 3").is_ok());
    for bad in [
        "muster next",
        "muster next nightly --cron x",
        "muster next nightly --zone UTC",
        "muster next --cron x --gap leap",
        "muster next --cron x --from monday",
        "muster next nightly --count 0",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn subjects_have_a_kind_and_a_name() {
    for line in ["muster disable job nightly --kill", "muster disable --kill job nightly"] {
        let Command::Client(WithFlags { command, .. }) = parse(line).unwrap().command else {
            panic!("{line}")
        };
        let ClientCommand::Disable { subject, kill } = command else { panic!("{line}") };
        assert_eq!(subject, SubjectArgs { kind: Kind::Job, name: "nightly".to_owned() });
        assert!(kill);
    }
    let error = parse("muster disable hello").unwrap_err().to_string();
    assert!(error.contains("say `job hello` or `app hello`"), "{error}");
    assert!(parse("muster disable job a:b").is_err());
    assert!(parse("muster delete app reports").is_ok());
    assert!(parse("muster delete reports").is_err());
}
