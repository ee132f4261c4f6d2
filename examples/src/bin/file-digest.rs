//! An app with the handler `file-digest`: SHA-256, lines and bytes of the files in a folder.
//!
//! Props of the job: `root`, the folder whose files are digested, and `out`, the folder for one
//! table per shard. Both are absolute. The result of a shard is the sum of its table.

use std::path::Path;

use muster_examples::digest::Shard;
use muster_job::{Context, JobError, Jobs};

fn main() -> anyhow::Result<()> {
    let digest = |context: Context| file_digest(&context);
    muster_executor::main(Jobs::new().register_blocking("file-digest", digest))
}

fn file_digest(context: &Context) -> Result<String, JobError> {
    let (root, out) = (folder(context, "root")?, folder(context, "out")?);
    let (item, count) = (context.shard_item(), context.shard_count());
    context.log(&format!("shard {item} of {count} digests {}", root.display()));
    let task = context.task().to_string();
    let shard = Shard { root, item, count };
    let totals = shard.digest(out, &task, || context.is_cancelled())?;
    context.log(&totals.to_string());
    Ok(totals.to_string())
}

/// A prop that names a folder.
fn folder<'a>(context: &'a Context, name: &str) -> Result<&'a Path, JobError> {
    let prop = context.prop(name);
    let prop = prop.ok_or_else(|| JobError::new(format!("the job has no prop `{name}`")))?;
    let path = Path::new(prop);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(JobError::new(format!("the prop `{name}` is `{prop}`, which is no absolute path")))
    }
}
