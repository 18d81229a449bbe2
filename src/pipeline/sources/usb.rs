//! Devices by what they say of themselves on the USB.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A device by what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usb {
    /// Its maker.
    pub vendor: u16,
    /// Its kind.
    pub product: u16,
    /// Its number, if it has one.
    pub serial: Option<String>,
    /// Which of its parts, as the kernel names and counts them; the first, if nothing is said.
    pub part: Option<(String, u32)>,
}

impl Usb {
    /// Reads `046d:0825` with or without a serial number behind it.
    pub(super) fn parse(ids: &str) -> Option<Self> {
        let mut parts = ids.splitn(3, ':');
        let mut id = || {
            let digits = parts.next().filter(|d| d.len() == 4)?;
            digits.chars().all(|c| c.is_ascii_hexdigit()).then_some(())?;
            u16::from_str_radix(digits, 16).ok()
        };
        let (vendor, product) = (id()?, id()?);
        let serial = parts.next().map(str::to_owned);
        if serial.as_deref() == Some("") {
            return None;
        }
        Some(Self { vendor, product, serial, part: None })
    }

    /// The device that an interface in the kernel's tree belongs to, and its folder there; `index` is the place among
    /// the nodes of that part.
    pub(super) fn of(interface: &Path, index: u32) -> Option<(Self, PathBuf)> {
        interface.ancestors().find_map(|device| {
            let id = |name| u16::from_str_radix(&line(&device.join(name))?, 16).ok();
            let (vendor, product) = (id("idVendor")?, id("idProduct")?);
            let serial = line(&device.join("serial")).filter(|s| !s.is_empty());
            // Interfaces are named by their device, a colon, and what stays the same wherever it is plugged in.
            let part = interface.strip_prefix(device).unwrap_or(interface).to_string_lossy();
            let part = part.split_once(':').map_or(&*part, |(_, part)| part).to_owned();
            Some((Self { vendor, product, serial, part: Some((part, index)) }, device.into()))
        })
    }

    /// Whether this device is the one wanted.
    pub(super) fn fits(&self, wanted: &Self) -> bool {
        // udev writes for what cannot stand in a name a line.
        let plain = |serial: &str| serial.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let same = |a: &String| self.serial.as_ref().is_some_and(|b| plain(a) == plain(b));
        [self.vendor, self.product] == [wanted.vendor, wanted.product]
            && wanted.serial.as_ref().is_none_or(same)
            && (wanted.part.is_none() || wanted.part == self.part)
    }
}

impl fmt::Display for Usb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "usb:{:04x}:{:04x}", self.vendor, self.product)?;
        match &self.serial {
            Some(serial) => write!(f, ":{serial}"),
            None => Ok(()),
        }
    }
}

/// A file of one line, as the kernel has many.
pub(super) fn line(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}
