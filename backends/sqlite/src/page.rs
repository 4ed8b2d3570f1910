//! Reads the rows of one page, bounded in number and in bytes.

use rusqlite::{Row, Rows};

use crate::error::Error;

/// The bytes of rows after which a page ends early.
const PAGE_BYTES_MAX: usize = 16 << 20;

/// The rows of a page.
pub(crate) struct RowPage<T> {
    pub(crate) items: Vec<T>,
    /// Whether there is another row after them.
    pub(crate) has_more: bool,
}

/// Reads at most `limit` rows, of which `read` gives the item and its bytes. A page has at least one row if there is one.
pub(crate) fn read_page<T>(
    mut rows: Rows<'_>,
    limit: usize,
    read: impl Fn(&Row<'_>) -> Result<(T, usize), Error>,
) -> Result<RowPage<T>, Error> {
    let mut page = RowPage {
        items: Vec::new(),
        has_more: false,
    };
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        if page.items.len() >= limit || bytes >= PAGE_BYTES_MAX {
            page.has_more = true;
            break;
        }
        let (item, more) = read(row)?;
        bytes += more;
        page.items.push(item);
    }
    Ok(page)
}
