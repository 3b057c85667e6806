//! Small numbers for names that stand in every row: connections and sinks.

use rusqlite::Connection;

/// The names of both tables.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) connections: NameTable,
    pub(crate) sinks: NameTable,
}

impl Names {
    pub(crate) fn load(db: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connections: NameTable::load(db, "connection")?,
            sinks: NameTable::load(db, "sink")?,
        })
    }

    /// How many there are, for [`Names::rollback`].
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.connections.known.len(), self.sinks.known.len())
    }

    /// Forgets what a transaction added that failed.
    pub(crate) fn rollback(&mut self, (connections, sinks): (usize, usize)) {
        self.connections.known.truncate(connections);
        self.sinks.known.truncate(sinks);
    }
}

/// The names of one table. It never forgets one, since rows may refer to it.
#[derive(Debug)]
pub(crate) struct NameTable {
    /// `connection` or `sink`.
    table: &'static str,
    /// A dozen at most, so looking through them is fastest.
    known: Vec<(i64, String)>,
}

impl NameTable {
    fn load(db: &Connection, table: &'static str) -> rusqlite::Result<Self> {
        let mut query = db.prepare(&format!("SELECT id, name FROM {table} ORDER BY id"))?;
        let known = query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        Ok(Self { table, known })
    }

    pub(crate) fn find(&self, name: &str) -> Option<i64> {
        self.known
            .iter()
            .find(|(_, known)| known == name)
            .map(|&(id, _)| id)
    }

    /// The number of a name, which gets one in the running transaction if it is new.
    pub(crate) fn intern(&mut self, db: &Connection, name: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.find(name) {
            return Ok(id);
        }
        db.execute(&format!("INSERT INTO {} (name) VALUES (?1)", self.table), [name])?;
        let id = db.last_insert_rowid();
        self.known.push((id, name.to_owned()));
        Ok(id)
    }
}
