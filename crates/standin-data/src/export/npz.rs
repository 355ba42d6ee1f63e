use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::Path;

use npyz::zip::{CompressionMethod, DateTime, ZipWriter, write::FileOptions};

use super::png::interleave;
use crate::saved::write_npy_header;
use crate::{Error, Parts, Result, Shape};

/// Writes arrays in MedMNIST's layout, and says what has no place in it.
pub(super) fn write(parts: &Parts, path: &Path) -> Result<Vec<String>> {
    let mut omitted = Vec::new();
    let write = |omitted: &mut Vec<String>| -> std::io::Result<()> {
        let mut zip = ZipWriter::new(BufWriter::new(File::create(path)?));
        for (part, set) in parts.iter() {
            let prefix = match part {
                "" => String::new(),
                "validation" => "val_".to_owned(),
                part => format!("{part}_"),
            };
            let Shape { channels, height, width } = set.shape();
            let mut sizes = vec![set.len(), height, width];
            if channels > 1 {
                sizes.push(channels);
            }
            start_array(&mut zip, &format!("{prefix}images"), &sizes, set.pixels().len())?;
            for index in 0..set.len() {
                zip.write_all(&interleave(set.shape(), set.image(index)))?;
            }
            if let Some(labels) = set.labels() {
                // MedMNIST stores labels as uint8; more classes than that need the wider type.
                let wide = labels.classes.len() > usize::from(u8::MAX) + 1;
                let name = format!("{prefix}labels");
                start_typed(&mut zip, &name, &[set.len(), 1], if wide { "<u4" } else { "|u1" }, set.len() * 4)?;
                for &value in &labels.values {
                    match wide {
                        true => zip.write_all(&value.to_le_bytes())?,
                        false => zip.write_all(&[value as u8])?,
                    }
                }
                if labels.classes.iter().enumerate().any(|(index, class)| *class != index.to_string()) {
                    omitted.push("class names".to_owned());
                }
            }
            omitted.extend(set.columns().iter().map(|column| format!("column {}", column.name)));
        }
        zip.finish()?.into_inner()?.sync_all()
    };
    write(&mut omitted).map_err(Error::io("writing", path))?;
    omitted.sort();
    omitted.dedup();
    Ok(omitted)
}

fn start_array<W: Write + Seek>(
    zip: &mut ZipWriter<W>,
    name: &str,
    sizes: &[usize],
    bytes: usize,
) -> std::io::Result<()> {
    start_typed(zip, name, sizes, "|u1", bytes)
}

/// Begins an array; the time stamp is fixed so that equal sets give equal files.
fn start_typed<W: Write + Seek>(
    zip: &mut ZipWriter<W>,
    name: &str,
    sizes: &[usize],
    dtype: &str,
    bytes: usize,
) -> std::io::Result<()> {
    let options = FileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .large_file(bytes as u64 >= u64::from(u32::MAX) / 2);
    zip.start_file(npyz::npz::file_name_from_array_name(name), options)?;
    write_npy_header(zip, sizes, dtype)
}
