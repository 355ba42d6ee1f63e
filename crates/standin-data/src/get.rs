use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use md5::{Digest, Md5};

use crate::datasets::{Checksum, Dataset, RemoteFile};
use crate::{Error, Format, ImportOptions, Parts, Progress, Result, digits, import};

/// Gets a public data set: built in, from the files in a folder, as Debian's package installed it, or by download.
///
/// `cache` keeps downloaded files (under the data set's name), so that a second call needs no network. A file is
/// downloaded under a temporary name and moved into place once its checksum is right. Files in `from` are read where
/// they are; gzipped ones may also lie there decompressed.
///
/// The result has the official parts, the class names and the licence of the [`Dataset`].
///
/// # Errors
/// If the name is unknown, a file is missing from `from`, the network cannot be reached, a checksum differs, or the
/// content is not what the table says.
pub fn get(name: &str, from: Option<&Path>, cache: &Path, progress: &dyn Progress) -> Result<Parts> {
    let dataset = Dataset::find(name)?;
    if dataset.built_in() {
        return Ok(Parts::undivided(digits()));
    }
    let installed = installed(dataset);
    let folder = match from.or(installed.as_deref()) {
        Some(from) => {
            for file in dataset.files {
                let path = find(from, dataset, file)?;
                verify(&path, file)?;
            }
            from.to_path_buf()
        }
        None => {
            let folder = cache.join(dataset.name);
            fs::create_dir_all(&folder).map_err(Error::io("making the folder", &folder))?;
            for file in dataset.files {
                let path = folder.join(file.name);
                if path.is_file() {
                    verify(&path, file)?;
                } else {
                    download(&agent(), file, &path, progress)?;
                }
            }
            folder
        }
    };
    read(dataset, &folder, progress)
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_per_read(Some(Duration::from_secs(60)))
        .build()
        .into()
}

/// Where Debian's packages put public data sets, each in a folder of its name.
const INSTALLED: &str = "/usr/share/datasets";

/// The folder of a set that the system's package manager installed, if all of its files are there.
fn installed(dataset: &Dataset) -> Option<PathBuf> {
    let folder = Path::new(INSTALLED).join(dataset.name);
    dataset.files.iter().all(|file| find(&folder, dataset, file).is_ok()).then_some(folder)
}

/// The names under which a file may lie in a folder the user gives.
fn candidates(file: &RemoteFile) -> Vec<&str> {
    let decompressed = match file.checksum {
        Checksum::Decompressed(_) => file.name.strip_suffix(".gz"),
        Checksum::Stored(_) => None,
    };
    [Some(file.name), decompressed].into_iter().flatten().collect()
}

fn find(from: &Path, dataset: &Dataset, file: &RemoteFile) -> Result<PathBuf> {
    if !from.exists() {
        return Err(Error::Missing { path: from.to_path_buf() });
    }
    let names = candidates(file);
    names.iter().map(|name| from.join(name)).find(|path| path.is_file()).ok_or_else(|| {
        Error::invalid(
            from,
            format!("{} is not there", names.join(" or ")),
            format!("{} needs it: download {} into this folder", dataset.name, file.url),
        )
    })
}

/// Compares a file with the checksum of the table.
fn verify(path: &Path, file: &RemoteFile) -> Result<()> {
    let opened = File::open(path).map_err(Error::io("opening", path))?;
    let gzipped = path.extension().is_some_and(|ending| ending == "gz");
    let (expected, what, sum) = match file.checksum {
        Checksum::Stored(md5) => (md5, "content", md5_of(opened)),
        Checksum::Decompressed(md5) if gzipped => (md5, "decompressed content", md5_of(MultiGzDecoder::new(opened))),
        Checksum::Decompressed(md5) => (md5, "content", md5_of(opened)),
    };
    let sum = sum.map_err(Error::io("reading", path))?;
    if sum != expected {
        return Err(Error::invalid(
            path,
            format!("the MD5 sum of its {what} is {sum}"),
            format!("{expected} was expected: remove the file and get it again from {}", file.url),
        ));
    }
    Ok(())
}

fn md5_of(mut reader: impl Read) -> io::Result<String> {
    let mut hasher = Md5::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hasher.update(&buffer[..count]);
    }
}

/// Downloads a file, checks it, and moves it to `path`.
fn download(agent: &ureq::Agent, file: &RemoteFile, path: &Path, progress: &dyn Progress) -> Result<()> {
    let failed = |found: String| Error::Download {
        url: file.url.to_owned(),
        found,
        remedy: format!(
            "check the connection, or download the file elsewhere and name its folder with --from (as {})",
            file.name
        ),
    };
    let response = agent.get(file.url).call().map_err(|error| failed(error.to_string()))?;
    let mut body = response.into_body();
    progress.begin(&format!("downloading {}", file.name), body.content_length().unwrap_or(0));
    let mut receive = || -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        // The ending tells `verify` whether to decompress.
        let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
        let mut partial = tempfile::Builder::new()
            .prefix(".partial-")
            .suffix(&ending)
            .tempfile_in(folder)
            .map_err(Error::io("making a temporary file in", folder))?;
        let mut reader = body.with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = reader.read(&mut buffer).map_err(|error| failed(error.to_string()))?;
            if count == 0 {
                break;
            }
            partial.write_all(&buffer[..count]).map_err(Error::io("writing", partial.path()))?;
            progress.advance(count as u64);
        }
        verify(partial.path(), file).map_err(|error| match error {
            Error::Invalid { found, remedy, .. } => failed(format!("{found}; {remedy}")),
            other => other,
        })?;
        partial.persist(path).map_err(|error| Error::io("writing", path)(error.error))?;
        Ok(())
    };
    let outcome = receive();
    progress.end();
    outcome
}

/// Reads verified files and gives them the table's parts, class names and licence.
fn read(dataset: &Dataset, folder: &Path, progress: &dyn Progress) -> Result<Parts> {
    // The sets of several files are pairs of IDX files, and other things may lie in the user's folder.
    let (path, format) = match dataset.files {
        [only] => (folder.join(only.name), None),
        _ => (folder.to_path_buf(), Some(Format::Idx)),
    };
    let parts = import(&path, &ImportOptions { format, ..ImportOptions::default() }, progress)?;
    for (name, images) in dataset.parts {
        let found = parts.get(name)?;
        if found.len() != *images || found.shape() != dataset.shape {
            return Err(Error::invalid(
                &path,
                format!("part {name} has {} images of {}", found.len(), found.shape()),
                format!("{images} of {} were expected for {}", dataset.shape, dataset.name),
            ));
        }
    }
    parts.map(|_, set| {
        let mut provenance = set.provenance().clone();
        provenance.source = format!("{} ({})", dataset.name, dataset.source);
        provenance.licence = Some(dataset.licence.to_owned());
        let set = set.with_provenance(provenance);
        let labels = set.labels().filter(|_| !dataset.class_names.is_empty()).cloned();
        match labels {
            Some(mut labels) => {
                if labels.classes.len() != dataset.classes {
                    return Err(Error::invalid(
                        &path,
                        format!("{} classes", labels.classes.len()),
                        format!("{} were expected for {}", dataset.classes, dataset.name),
                    ));
                }
                labels.classes = dataset.class_names.iter().map(|&name| name.to_owned()).collect();
                set.with_labels(labels)
            }
            None => Ok(set),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    use super::*;
    use crate::Silent;

    /// MD5 of "hello\n".
    const HELLO: &str = "b1946ac92492d2347c6235b4d2611184";

    /// Serves one request with `body` and returns the address.
    fn serve(status: &'static str, body: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).unwrap();
            stream.write_all(body).unwrap();
        });
        format!("http://{address}/hello.txt")
    }

    fn fetch(url: String, path: &Path) -> Result<()> {
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        // A leaked address per test: the table's entries are static.
        let file = RemoteFile { name: "hello.txt", url: url.leak(), checksum: Checksum::Stored(HELLO) };
        download(&agent, &file, path, &Silent)
    }

    #[test]
    fn a_download_is_moved_into_place_when_its_checksum_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hello.txt");
        fetch(serve("200 OK", b"hello\n"), &path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hello\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_wrong_download_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hello.txt");
        let wrong = fetch(serve("200 OK", b"hallo\n"), &path).unwrap_err().to_string();
        assert!(wrong.contains(HELLO) && wrong.contains("--from"), "{wrong}");
        let absent = fetch(serve("404 Not Found", b""), &path).unwrap_err().to_string();
        assert!(absent.contains("404") && absent.contains("http://127.0.0.1"), "{absent}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn no_network_names_the_address_and_the_way_around() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hello.txt", listener.local_addr().unwrap());
        drop(listener);
        let message = fetch(url.clone(), &folder.path().join("hello.txt")).unwrap_err().to_string();
        assert!(message.starts_with(&url) && message.contains("--from"), "{message}");
    }

    #[test]
    fn files_at_hand_are_verified() {
        let folder = tempfile::tempdir().unwrap();
        let take = || get("mnist", Some(folder.path()), folder.path(), &Silent).unwrap_err().to_string();
        assert!(take().contains("train-images-idx3-ubyte.gz or train-images-idx3-ubyte is not there"), "{}", take());
        fs::write(folder.path().join("train-images-idx3-ubyte"), "hello\n").unwrap();
        assert!(take().contains(HELLO) && take().contains("6bbc9ace898e44ae57da46a324031adb"), "{}", take());
        let unknown = get("minst", None, folder.path(), &Silent).unwrap_err().to_string();
        assert!(unknown.contains("did you mean \"mnist\""), "{unknown}");
    }

    #[test]
    fn digits_need_nothing() {
        assert_eq!(get("digits", None, Path::new("unused"), &Silent).unwrap().only().unwrap().len(), 1797);
    }

    #[test]
    fn debian_fashion_mnist_is_recognised_by_its_content() {
        let folder = Path::new("/usr/share/datasets/fashion-mnist");
        if !folder.exists() {
            println!("skipped: {} is absent (Debian package dataset-fashion-mnist)", folder.display());
            return;
        }
        let parts = get("fashion-mnist", Some(folder), folder, &Silent).unwrap();
        let train = parts.get("train").unwrap();
        assert_eq!(train.labels().unwrap().counts(), [6000; 10]);
        assert_eq!(train.labels().unwrap().classes[9], "Ankle boot");
        // The first training image is an ankle boot.
        assert_eq!(train.labels().unwrap().values[0], 9);
        assert_eq!(parts.get("test").unwrap().len(), 10_000);
        assert!(train.provenance().licence.as_deref().is_some_and(|licence| licence.starts_with("MIT")));
    }
}
