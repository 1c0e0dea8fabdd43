//! The lists of stored tensors of an archive: weights and constants.

use std::collections::BTreeMap;

use super::archive::Archive;
use super::error::Pt2Error;
use super::payload::StoredTensor;
use super::schema::PayloadConfig;
use super::schema::SymInt;
use super::sites::SizeSite;
use super::span::Spanned;

/// A list of stored tensors in an entry of the archive.
#[derive(Debug)]
pub(super) struct StoredList {
    /// The entry.
    pub(super) entry: String,
    pub(super) tensors: BTreeMap<String, Stored>,
}

/// A stored tensor, and where its sizes stand in the list.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) tensor: StoredTensor,
    pub(super) sizes: Vec<SizeSite>,
    pub(super) strides: Vec<SizeSite>,
    pub(super) offset: SizeSite,
}

impl StoredList {
    /// Reads the list of a folder, such as `weights`.
    pub(super) fn read(archive: &Archive, folder: &str, model: &str) -> Result<Self, Pt2Error> {
        let entry = format!("data/{folder}/{model}_{folder}_config.json");
        let text = archive.json(&entry)?;
        let config: PayloadConfig =
            serde_json::from_str(text).map_err(|source| Pt2Error::Json { entry: entry.clone(), source })?;
        let mut tensors = BTreeMap::new();
        for (name, payload) in &config.config {
            if payload.use_pickle {
                return Err(Pt2Error::Pickle { name: name.clone() });
            }
            let file = format!("data/{folder}/{}", payload.path_name);
            let bytes = archive.bytes(&file)?.len();
            let tensor = StoredTensor::new(name, payload, file, bytes)?;
            let Some(meta) = &payload.tensor_meta else { continue };
            let (sizes, strides) = (size_sites(&meta.sizes, text), size_sites(&meta.strides, text));
            let offset = size_site(&meta.storage_offset, text);
            tensors.insert(name.clone(), Stored { tensor, sizes, strides, offset });
        }
        Ok(Self { entry, tensors })
    }
}

/// Where a size stands in `text`.
pub(super) fn size_site(size: &Spanned<SymInt>, text: &str) -> SizeSite {
    SizeSite { place: size.place(text), size: size.value.clone() }
}

/// Where sizes stand in `text`.
pub(super) fn size_sites(sizes: &[Spanned<SymInt>], text: &str) -> Vec<SizeSite> {
    sizes.iter().map(|size| size_site(size, text)).collect()
}
