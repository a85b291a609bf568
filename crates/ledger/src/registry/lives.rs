//! The agencies by id. Ids are given in order from 1, so they are places in an array, whose pages
//! snapshots share: a change copies one page of pointers.

use std::sync::Arc;

use super::agency::Life;
use crate::id::AgencyId;

/// Agencies of a page: a change copies so many pointers, and one for each page.
const PAGE: usize = 256;

type Page = [Option<Arc<Life>>; PAGE];

/// Lives by id.
#[derive(Debug, Clone, Default)]
pub(super) struct Lives {
    pages: Vec<Arc<Page>>,
}

const fn place(id: AgencyId) -> (usize, usize) {
    let at = id.0 as usize;
    (at / PAGE, at % PAGE)
}

impl Lives {
    pub(super) fn get(&self, id: AgencyId) -> Option<&Life> {
        let (page, at) = place(id);
        self.pages.get(page)?.get(at)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: AgencyId) -> Option<&mut Life> {
        let (page, at) = place(id);
        self.get(id)?;
        let page = Arc::make_mut(self.pages.get_mut(page)?);
        page.get_mut(at)?.as_mut().map(Arc::make_mut)
    }

    /// The life of an agency, begun if there is none.
    pub(super) fn begun(&mut self, id: AgencyId) -> &mut Life {
        let (page, at) = place(id);
        while self.pages.len() <= page {
            self.pages.push(Arc::new([const { None }; PAGE]));
        }
        // Both places are there: the pages were made, and `at` is below their length.
        Arc::make_mut(Arc::make_mut(&mut self.pages[page])[at].get_or_insert_default())
    }

    pub(super) fn remove(&mut self, id: AgencyId) {
        let (page, at) = place(id);
        if self.get(id).is_some()
            && let Some(page) = self.pages.get_mut(page)
        {
            Arc::make_mut(page)[at] = None;
        }
    }

    /// All of them, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (AgencyId, &Life)> {
        let places = self.pages.iter().flat_map(|page| page.iter());
        (0..)
            .map(AgencyId)
            .zip(places)
            .filter_map(|(id, life)| Some((id, life.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_keeps_what_it_had() {
        let mut lives = Lives::default();
        for id in [1, 255, 256, 70_000] {
            lives.begun(AgencyId(id)).set_revision(id);
        }
        let before = lives.clone();
        if let Some(life) = lives.get_mut(AgencyId(256)) {
            life.set_revision(9);
        }
        lives.remove(AgencyId(255));
        lives.remove(AgencyId(400));
        let told = |lives: &Lives| -> Vec<(u32, u32)> {
            lives
                .iter()
                .map(|(id, life)| (id.0, life.revision()))
                .collect()
        };
        assert_eq!(
            told(&before),
            [(1, 1), (255, 255), (256, 256), (70_000, 70_000)]
        );
        assert_eq!(told(&lives), [(1, 1), (256, 9), (70_000, 70_000)]);
        assert!(lives.get(AgencyId(2)).is_none() && lives.get(AgencyId(u32::MAX)).is_none());
    }
}
