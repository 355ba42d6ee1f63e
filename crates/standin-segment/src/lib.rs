//! Segmentation of volumes: reading, overlap and surface distances.
