//! Heroku's H, R and L codes, in one table.

/// A code of the router, the runtime or the logs, as Heroku uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// App crashed.
    H10,
    /// Backlog too deep.
    H11,
    /// Request timeout.
    H12,
    /// Connection closed without response.
    H13,
    /// No web dynos running.
    H14,
    /// Idle connection.
    H15,
    /// Poorly formatted HTTP response.
    H17,
    /// Server request interrupted.
    H18,
    /// Backend connection timeout.
    H19,
    /// App boot timeout.
    H20,
    /// Backend connection refused.
    H21,
    /// Client request interrupted.
    H27,
    /// Client connection idle.
    H28,
    /// Misdirected request.
    H31,
    /// Maintenance mode.
    H80,
    /// Blank app.
    H81,
    /// Platform error.
    H99,
    /// Boot timeout.
    R10,
    /// Exit timeout.
    R12,
    /// Attach error.
    R13,
    /// Detached.
    R16,
    /// Memory quota exceeded.
    R14,
    /// Memory quota vastly exceeded.
    R15,
    /// Slug checksum mismatch.
    R17,
    /// Log output buffer overflow.
    L10,
    /// A log drain's certificate is not trusted.
    L14,
}

impl Code {
    /// Every code.
    pub const ALL: [Code; 26] = [
        Code::H10,
        Code::H11,
        Code::H12,
        Code::H13,
        Code::H14,
        Code::H15,
        Code::H17,
        Code::H18,
        Code::H19,
        Code::H20,
        Code::H21,
        Code::H27,
        Code::H28,
        Code::H31,
        Code::H80,
        Code::H81,
        Code::H99,
        Code::R10,
        Code::R12,
        Code::R13,
        Code::R16,
        Code::R14,
        Code::R15,
        Code::R17,
        Code::L10,
        Code::L14,
    ];

    /// The code as it stands in a log line: `H14`.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The description as it stands in a log line: `No web processes running`.
    pub fn description(self) -> &'static str {
        self.row().1
    }

    /// The HTTP status that a client sees with an H code; 0 where there is none.
    pub fn status(self) -> u16 {
        self.row().2
    }

    fn row(self) -> (&'static str, &'static str, u16) {
        match self {
            Code::H10 => ("H10", "App crashed", 503),
            Code::H11 => ("H11", "Backlog too deep", 503),
            Code::H12 => ("H12", "Request timeout", 503),
            Code::H13 => ("H13", "Connection closed without response", 503),
            Code::H14 => ("H14", "No web processes running", 503),
            Code::H15 => ("H15", "Idle connection", 503),
            Code::H17 => ("H17", "Poorly formatted HTTP response", 503),
            Code::H18 => ("H18", "Server Request Interrupted", 503),
            Code::H19 => ("H19", "Backend connection timeout", 503),
            Code::H20 => ("H20", "App boot timeout", 503),
            Code::H21 => ("H21", "Backend connection refused", 503),
            Code::H27 => ("H27", "Client Request Interrupted", 499),
            Code::H28 => ("H28", "Client Connection Idle", 499),
            Code::H31 => ("H31", "Misdirected Request", 421),
            Code::H80 => ("H80", "Maintenance mode", 503),
            Code::H81 => ("H81", "Blank app", 502),
            Code::H99 => ("H99", "Platform error", 503),
            Code::R10 => ("R10", "Boot timeout", 0),
            Code::R12 => ("R12", "Exit timeout", 0),
            Code::R13 => ("R13", "Attach error", 0),
            Code::R16 => ("R16", "Detached", 0),
            Code::R14 => ("R14", "Memory quota exceeded", 0),
            Code::R15 => ("R15", "Memory quota vastly exceeded", 0),
            Code::R17 => ("R17", "Checksum error", 0),
            Code::L10 => ("L10", "output buffer overflow", 0),
            Code::L14 => ("L14", "certificate error", 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_prints_as_its_name_and_has_a_description() {
        for code in Code::ALL {
            assert_eq!(code.as_str(), format!("{code:?}"));
            assert!(!code.description().is_empty());
            assert_eq!(code.status() == 0, !code.as_str().starts_with('H'));
        }
    }
}
