//! `standin generate` and `standin sample` as a user meets them: train, stop, go on, keep, draw, hand on.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use standin_data::{ImageSet, ImportOptions, Silent, import};

use crate::program::{command, document, refusal};

fn digits() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    standin_data::digits().select(&(0..600).collect::<Vec<_>>()).save(&folder.path().join("train")).unwrap();
    folder
}

fn read(path: &Path) -> ImageSet {
    import(path, &ImportOptions::default(), &Silent).unwrap().only().unwrap().clone()
}

const QUICK: [&str; 4] = ["generate", "--train", "train", "--set=least_steps=300"];

#[test]
fn a_generator_is_kept_with_samples_on_the_way_and_draws_a_set_with_a_card() {
    let folder = digits();
    let folder = folder.path();
    let more = ["--out", "vae", "--samples-every", "100", "--seed", "7"];
    let trained = document(folder, &[&QUICK[..], &more].concat());
    assert_eq!(trained["generator"], "vae");
    assert_eq!(trained["settings"]["least_steps"], 300);
    assert_eq!(trained["guarantee"], Value::Null);
    let grids: Vec<_> =
        std::fs::read_dir(folder.join("vae/samples")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(grids.len(), 3, "{grids:?}");
    assert!(folder.join("vae/samples.png").exists() && !folder.join("vae/checkpoints").exists());
    let card = std::fs::read_to_string(folder.join("vae/README.md")).unwrap();
    assert!(card.contains("No guarantee") && card.contains("least_steps = 300"), "{card}");

    let draw = ["sample", "vae", "--count", "40", "--balance", "0=1,7=3", "--grid", "grid.png", "--out", "drawn"];
    let drawn = document(folder, &draw);
    assert_eq!((&drawn["classes"]["0"], &drawn["classes"]["7"]), (&10.into(), &30.into()));
    let images = read(&folder.join("drawn"));
    assert_eq!(images.len(), 40);
    assert!(folder.join("grid.png").exists());
    let card = std::fs::read_to_string(folder.join("drawn/README.md")).unwrap();
    assert!(card.contains("generator vae (seed 7)"), "{card}");

    // The same seed gives the same images, and what is there stays.
    let again = document(
        folder,
        &["sample", "vae", "--count", "20", "--balance", "0=1,7=3", "--out", "fewer.npz", "--format", "npz"],
    );
    let sorted = |set: &ImageSet| {
        let mut images: Vec<Vec<u8>> = (0..set.len()).map(|image| set.image(image).to_vec()).collect();
        images.sort();
        images
    };
    assert_eq!(again["classes"]["7"], 15);
    let (few, many) = (sorted(&read(&folder.join("fewer.npz"))), sorted(&images));
    assert!(few.len() == 20 && few.iter().all(|image| many.contains(image)));
    assert!(refusal(folder, &["sample", "vae", "--count", "4", "--out", "drawn"]).contains("drawn: already exists"));
    assert!(refusal(folder, &[&QUICK[..], &more].concat()).contains("vae: already exists"));
}

#[test]
fn a_private_generator_carries_its_guarantee_from_training_to_the_card_of_its_images() {
    let folder = digits();
    let folder = folder.path();
    let settings = ["--set", "steps=50", "--set", "frequencies=200", "--set", "frequencies_per_step=200"];
    let private = ["generate", "--train", "train", "--generator", "dp-merf", "--out", "private"];
    let budget = ["--privacy-epsilon", "3", "--privacy-delta", "1e-4"];
    let trained = document(folder, &[&private[..], &budget, &settings].concat());
    let guarantee = &trained["guarantee"];
    assert!((guarantee["epsilon"].as_f64().unwrap() - 3.0).abs() < 1e-6);
    assert_eq!((&guarantee["delta"], &guarantee["noise"]), (&1e-4.into(), &"secret".into()));
    document(folder, &["sample", "private", "--count", "20", "--out", "drawn"]);
    for card in ["private/README.md", "drawn/README.md"] {
        let card = std::fs::read_to_string(folder.join(card)).unwrap();
        assert!(card.contains("ε = 3.00, δ = 1.00e-4"), "{card}");
    }

    let reproducible = [&private[..], &budget, &settings, &["--privacy-reproducible", "--force"]].concat();
    document(folder, &reproducible);
    let card = std::fs::read_to_string(folder.join("private/README.md")).unwrap();
    assert!(card.contains("NOT PRIVATE") && !card.contains("differential-privacy"), "{card}");
}

#[test]
fn a_killed_training_goes_on_to_the_same_generator() {
    let folder = digits();
    let folder = folder.path();
    let train = ["generate", "--train", "train", "--set=least_steps=3000", "--checkpoint-every", "1"];
    document(folder, &[&train[..], &["--out", "whole"]].concat());
    let killed = [&train[..], &["--out", "killed"]].concat();
    let mut child = command(folder, &[&killed[..], &["--quiet", "--threads", "1"]].concat()).spawn().unwrap();
    let checkpoint = folder.join("killed/checkpoints/vae/checkpoint.safetensors");
    let begun = Instant::now();
    while !checkpoint.exists() && child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(120), "no checkpoint was written");
        sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(checkpoint.exists() && !folder.join("killed/generator.safetensors").exists());

    // Another training does not continue from it.
    let other = [&killed[..], &["--set", "latent=5"]].concat();
    assert!(refusal(folder, &other).contains("checkpoint"));
    document(folder, &killed);
    let weights = |name: &str| std::fs::read(folder.join(name).join("generator.safetensors")).unwrap();
    assert!(weights("whole") == weights("killed"));
    assert!(!folder.join("killed/checkpoints").exists());
}

#[test]
fn what_cannot_be_is_refused_with_the_remedy_and_nothing_is_written() {
    let folder = digits();
    let folder = folder.path();
    std::fs::create_dir(folder.join("mine")).unwrap();
    std::fs::write(folder.join("mine/README.md"), "my own").unwrap();
    let generate = |more: &[&str]| refusal(folder, &[&QUICK[..], more].concat());
    for (more, words) in [
        (&["--out", "x", "--generator", "van"][..], "vae"),
        (&["--out", "x", "--set", "laten=3"], "laten"),
        (&["--out", "x", "--privacy-epsilon", "1"], "dp-merf"),
        (&["--out", "x", "--public", "train"], "no use for public images"),
        (&["--out", "mine", "--force"], "mine: already exists"),
    ] {
        let message = generate(more);
        assert!(message.contains(words), "{message}");
        let weights = folder.join("x/generator.safetensors");
        assert!(!weights.exists());
    }
    let unprotected = ["generate", "--train", "train", "--generator", "dp-merf", "--out", "x"];
    assert!(refusal(folder, &unprotected).contains("no privacy target"));
    assert_eq!(std::fs::read_to_string(folder.join("mine/README.md")).unwrap(), "my own");

    document(folder, &[&QUICK[..], &["--out", "vae"]].concat());
    let sample =
        |more: &[&str]| refusal(folder, &[&["sample", "vae", "--count", "4", "--out", "y"][..], more].concat());
    for (more, words) in [
        (&["--guidance", "2"][..], "no guidance; it has temperature"),
        (&["--truncation", "0.5"], "no truncation"),
        (&["--temperature", "-1"], "temperature is -1"),
        (&["--balance", "cat=1"], "cat"),
    ] {
        let message = sample(more);
        assert!(message.contains(words), "{message}");
        assert!(!folder.join("y").exists());
    }
    assert!(refusal(folder, &["sample", "nowhere", "--count", "4", "--out", "y"]).contains("nowhere"));
    std::fs::write(folder.join("vae/generator.safetensors"), "junk").unwrap();
    assert!(sample(&[]).contains("generator.safetensors"));
}
