//! Every target over its seeds, over pieces of them, and over all that was ever found.
#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::{fs, path::Path};

use muster_fuzz::Target;

#[test]
fn seeds_hold() {
    for target in Target::ALL {
        let seeds = target.seeds();
        assert!(seeds.len() >= 10, "{}", target.name());
        seeds.iter().for_each(|seed| target.check(seed));
    }
}

/// Each seed is cut off, and has one of its bytes changed, at some places.
#[test]
fn damaged_seeds_hold() {
    for target in Target::ALL {
        for mut seed in target.seeds() {
            for at in (0..seed.len()).step_by(seed.len() / 8 + 1) {
                target.check(&seed[..at]);
                let former = seed[at];
                for new in [0, 1, 0x7f, 0x80, 0xff, former ^ 1] {
                    seed[at] = new;
                    target.check(&seed);
                }
                seed[at] = former;
            }
        }
    }
}

/// What libFuzzer has found is kept in `found/TARGET/`, and stays mended.
#[test]
fn what_was_found_stays_mended() {
    for target in Target::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("found").join(target.name());
        for file in fs::read_dir(folder).into_iter().flatten() {
            target.check(&fs::read(file.unwrap().path()).unwrap());
        }
    }
}

#[test]
fn targets_are_found_by_their_names() {
    for target in Target::ALL {
        assert_eq!(target.name().parse::<Target>().unwrap(), target);
    }
    let error = "recordIO".parse::<Target>().unwrap_err().to_string();
    assert!(error.starts_with("there is no target `recordIO`; there are recordio, json"));
}
