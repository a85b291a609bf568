//! Namespaces: which prefix means what, told apart only as far as it matters.

/// The namespace of the format.
pub const NAMESPACE: &str = "http://www.mic.gov.vn/TBT/QCVN_102_2016";

/// What a namespace is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// The format's own.
    Qcvn,
    /// No namespace.
    None,
    /// A prefix that is not declared.
    Unbound,
    /// SOAP 1.1 or 1.2 envelopes.
    Soap,
    /// The form of 2012 to 2014.
    EDoc,
    /// The drafts of section a.4.
    Draft,
    /// XML signatures.
    Signature,
    /// Anything else.
    Other,
}

impl Space {
    fn of(uri: &str) -> Space {
        match uri {
            NAMESPACE => Space::Qcvn,
            "" => Space::None,
            "http://schemas.xmlsoap.org/soap/envelope/"
            | "http://www.w3.org/2003/05/soap-envelope" => Space::Soap,
            "http://www.e-doc.vn/Schema/" | "http://e-doc.vn/xsd" => Space::EDoc,
            "http://www.go.vn/eDoc" => Space::Draft,
            "http://www.w3.org/2000/09/xmldsig#" => Space::Signature,
            _ => Space::Other,
        }
    }
}

/// The declarations in force. Names are kept in one string that grows and shrinks with the depth.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    text: String,
    bindings: Vec<Binding>,
}

#[derive(Debug, Clone, Copy)]
struct Binding {
    depth: usize,
    start: usize,
    prefix_end: usize,
    end: usize,
    space: Space,
}

impl Namespaces {
    /// Declares a prefix (empty for the default) on the element at this depth.
    pub(crate) fn declare(&mut self, depth: usize, prefix: &str, uri: &str) {
        let start = self.text.len();
        self.text.push_str(prefix);
        let prefix_end = self.text.len();
        self.text.push_str(uri);
        self.bindings.push(Binding {
            depth,
            start,
            prefix_end,
            end: self.text.len(),
            space: match uri {
                // Only the default namespace can be taken back.
                "" if !prefix.is_empty() => Space::Unbound,
                _ => Space::of(uri),
            },
        });
    }

    /// How many declarations are in force.
    pub(crate) fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Drops the declarations of elements at this depth and deeper.
    pub(crate) fn leave(&mut self, depth: usize) {
        while let Some(last) = self.bindings.last().filter(|b| b.depth >= depth) {
            self.text.truncate(last.start);
            self.bindings.pop();
        }
    }

    fn find(&self, prefix: &str) -> Option<&Binding> {
        self.bindings
            .iter()
            .rev()
            .find(|b| &self.text[b.start..b.prefix_end] == prefix)
    }

    /// What a prefix means; the empty one is the default namespace.
    pub(crate) fn space(&self, prefix: &str) -> Space {
        match self.find(prefix) {
            Some(binding) => binding.space,
            None if prefix.is_empty() => Space::None,
            None if prefix == "xml" => Space::Other,
            None => Space::Unbound,
        }
    }

    /// The URI of a prefix, as written.
    pub(crate) fn uri(&self, prefix: &str) -> &str {
        self.find(prefix)
            .map_or("", |b| &self.text[b.prefix_end..b.end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_hold_inside_their_element() {
        let mut spaces = Namespaces::default();
        assert_eq!(spaces.space(""), Space::None);
        assert_eq!(spaces.space("edXML"), Space::Unbound);
        spaces.declare(1, "", NAMESPACE);
        spaces.declare(2, "edXML", NAMESPACE);
        spaces.declare(3, "", "urn:x");
        assert_eq!((spaces.space(""), spaces.uri("")), (Space::Other, "urn:x"));
        assert_eq!(spaces.space("edXML"), Space::Qcvn);
        spaces.leave(3);
        assert_eq!(spaces.space(""), Space::Qcvn);
        spaces.leave(2);
        assert_eq!(spaces.space("edXML"), Space::Unbound);
        spaces.leave(1);
        assert_eq!((spaces.space(""), spaces.text.len()), (Space::None, 0));
    }
}
