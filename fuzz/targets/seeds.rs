//! Writes the seeds of a target into a folder, where libFuzzer finds them: `fuzz-seeds TARGET DIR`.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use muster_fuzz::Target;

fn main() -> io::Result<()> {
    let [target, folder] = <[String; 2]>::try_from(env::args().skip(1).collect::<Vec<_>>())
        .map_err(|_| io::Error::other("usage: fuzz-seeds TARGET DIR"))?;
    let target: Target = target.parse().map_err(io::Error::other)?;
    write(target, Path::new(&folder))
}

fn write(target: Target, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (number, seed) in target.seeds().iter().enumerate() {
        let file: PathBuf = folder.join(format!("seed-{number:03}"));
        fs::write(file, seed)?;
    }
    Ok(())
}
