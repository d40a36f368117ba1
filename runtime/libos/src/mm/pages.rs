//! What an address space needs from below: pages of program memory, and bytes in them. A trait, so that the address
//! space can be tested without an enclave.

use casemate_platform::pages::{self, Change, Need, Protection};
use casemate_platform::user;

use super::span::Span;
use crate::errno::Result;

/// Pages of program memory. Spans are page-aligned and not empty.
pub trait Pages: Send + Sync {
    /// Whether a page that is not there may show itself all the same, with any contents.
    fn are_only_hidden(&self) -> bool {
        false
    }
    /// Whether the host has room in its page tables for a change. Who may be refused asks before anything is changed; the calls
    /// below do not.
    fn admits(&self, _span: Span, _change: Change, _need: Need) -> bool {
        true
    }
    /// Whether that room is half used up.
    fn is_crowded(&self) -> bool {
        false
    }
    /// Most mappings that a process of the host may have (vm.max_map_count).
    fn most_mappings(&self) -> usize {
        65_530
    }
    /// Fresh zero pages.
    fn map(&self, span: Span, protection: Protection) -> Result<()>;
    /// Fresh pages that are all written at once.
    fn map_to_fill(&self, span: Span) -> Result<()> {
        self.map(span, Protection::READ_WRITE)
    }
    /// Other rights for pages that are there.
    fn protect(&self, span: Span, protection: Protection) -> Result<()>;
    /// Takes pages away.
    fn unmap(&self, span: Span) -> Result<()>;
    /// Zeros pages that are there.
    fn discard(&self, span: Span) -> Result<()>;
    /// Reads; the pages are there and readable.
    fn read(&self, address: u64, to: &mut [u8]) -> Result<()>;
    /// Writes; the pages are there and writable.
    fn write(&self, address: u64, from: &[u8]) -> Result<()>;
    /// Writes zeros; the pages are there and writable.
    fn zero(&self, span: Span) -> Result<()>;
    /// Takes the pages and their contents from `from` to `to` (of the same size, not overlapping), whatever was there: all at once.
    /// On an error the pages may have lost their rights.
    fn relocate(&self, from: Span, to: Span, protection: Protection) -> Result<()>;
}

/// The enclave's own pages.
pub struct EnclavePages;

impl Pages for EnclavePages {
    fn are_only_hidden(&self) -> bool {
        pages::are_only_hidden()
    }

    fn admits(&self, span: Span, change: Change, need: Need) -> bool {
        pages::admits(span.start, span.len(), change, need)
    }

    fn is_crowded(&self) -> bool {
        pages::are_crowded()
    }

    fn most_mappings(&self) -> usize {
        pages::host_mappings() as usize
    }

    fn map(&self, span: Span, protection: Protection) -> Result<()> {
        Ok(pages::map(span.start, span.len(), protection)?)
    }

    fn map_to_fill(&self, span: Span) -> Result<()> {
        Ok(pages::map_to_fill(span.start, span.len())?)
    }

    fn protect(&self, span: Span, protection: Protection) -> Result<()> {
        Ok(pages::protect(span.start, span.len(), protection)?)
    }

    fn unmap(&self, span: Span) -> Result<()> {
        Ok(pages::unmap(span.start, span.len())?)
    }

    fn discard(&self, span: Span) -> Result<()> {
        Ok(pages::discard(span.start, span.len())?)
    }

    fn read(&self, address: u64, to: &mut [u8]) -> Result<()> {
        Ok(user::copy_in(to, address)?)
    }

    fn write(&self, address: u64, from: &[u8]) -> Result<()> {
        Ok(user::copy_out(address, from)?)
    }

    fn zero(&self, span: Span) -> Result<()> {
        Ok(user::fill(span.start, 0, span.len() as usize)?)
    }

    fn relocate(&self, from: Span, to: Span, protection: Protection) -> Result<()> {
        Ok(pages::relocate(from.start, to.start, from.len(), protection)?)
    }
}
