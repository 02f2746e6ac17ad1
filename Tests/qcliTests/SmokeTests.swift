import Testing
@testable import qcli
@Test func smoke() { #expect(Bool(true)) }
