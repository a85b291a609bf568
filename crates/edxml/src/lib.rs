//! The QCVN 102:2016 package format: reading, checking and writing edXML.
