use std::collections::HashMap;

use standin_data::ImageSet;
use standin_privacy::Unit;

use crate::{Error, Result};

/// Which images belong to which unit of privacy.
///
/// All images of a unit are sampled together, and their mean gradient is clipped as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    unit: Unit,
    /// The images of each unit.
    members: Vec<Vec<usize>>,
}

impl Records {
    /// Each of `images` images is a unit.
    pub fn each(images: usize) -> Self {
        Self { unit: Unit::Image, members: (0..images).map(|image| vec![image]).collect() }
    }

    /// Images with one value of the attribute `column` are a unit: a patient, an identity. Values are compared as text.
    ///
    /// # Errors
    /// If the set has no such column, or an image has no value in it: an image of nobody would not be protected as anybody's.
    pub fn grouped(images: &ImageSet, column: &str) -> Result<Self> {
        let Some(values) = images.column(column).map(|column| &column.values) else {
            let known: Vec<&str> = images.columns().iter().map(|column| column.name.as_str()).collect();
            let (set, column) = (images.describe(), column.to_owned());
            return Err(Error::NoUnitColumn { set, column, known: known.join(", ") });
        };
        let missing = values.iter().filter(|value| value.is_empty()).count();
        if let Some(first) = values.iter().position(String::is_empty) {
            return Err(Error::UnitMissing { set: images.describe(), column: column.to_owned(), missing, first });
        }
        let mut place: HashMap<&str, usize> = HashMap::new();
        let mut members: Vec<Vec<usize>> = Vec::new();
        for (image, value) in values.iter().enumerate() {
            let unit = *place.entry(value).or_insert(members.len());
            if unit == members.len() {
                members.push(Vec::new());
            }
            members[unit].push(image);
        }
        Ok(Self { unit: Unit::Group(column.to_owned()), members })
    }

    /// The units `unit` asks for.
    ///
    /// # Errors
    /// As [`Records::grouped`].
    pub fn of(images: &ImageSet, unit: &Unit) -> Result<Self> {
        match unit {
            Unit::Image => Ok(Self::each(images.len())),
            Unit::Group(column) => Self::grouped(images, column),
        }
    }

    /// Whose presence is protected.
    pub fn unit(&self) -> &Unit {
        &self.unit
    }

    /// Number of units, N.
    pub fn units(&self) -> usize {
        self.members.len()
    }

    /// The images of one unit.
    pub fn members(&self, unit: usize) -> &[usize] {
        &self.members[unit]
    }
}

#[cfg(test)]
mod tests {
    use standin_data::{Column, Shape};

    use super::*;

    fn images(patients: [&str; 5]) -> ImageSet {
        let set = ImageSet::new(Shape { channels: 1, height: 1, width: 1 }, vec![0; 5]).unwrap();
        let values = patients.map(str::to_owned).to_vec();
        set.with_column(Column { name: "patient".into(), values }).unwrap()
    }

    #[test]
    fn images_of_one_patient_are_one_unit() {
        let records = Records::grouped(&images(["b", "a", "b", "c", "a"]), "patient").unwrap();
        assert_eq!(records.units(), 3);
        assert_eq!([records.members(0), records.members(1), records.members(2)], [&[0, 2][..], &[1, 4], &[3]]);
        assert_eq!(records.unit(), &Unit::Group("patient".into()));
    }

    #[test]
    fn an_image_of_nobody_is_refused() {
        let message = Records::grouped(&images(["b", "", "b", "", "a"]), "patient").unwrap_err().to_string();
        for part in ["patient", "2 images", "image 1"] {
            assert!(message.contains(part), "{message}");
        }
        let message = Records::grouped(&images(["b"; 5]), "person").unwrap_err().to_string();
        assert!(message.contains("person") && message.contains("patient"), "{message}");
    }
}
