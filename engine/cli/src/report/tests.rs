use super::*;

#[test]
fn a_push_is_told_in_one_line() {
    let told = |answer| serde_json::from_str::<PushOutcome>(answer).unwrap().to_string();
    assert_eq!(
        told(
            r#"{"published": {"module": "logic", "from": "1001", "to": "1002", "committed": "1001",
                "stages_us": {"accept": 400, "verify": 200, "load": 1130, "publish": 20, "later": 3}}}"#
        ),
        "logic 1001 -> 1002 in 1.8 ms (accept 0.4, verify 0.2, load 1.1, publish 0.02, later 0.003); \
         1001 was on probation and is committed early"
    );
    assert_eq!(
        told(r#"{"published": {"module": "logic", "from": null, "to": "1.4.0", "stages_us": {}}}"#),
        "logic none -> 1.4.0 in 0.000 ms"
    );
    assert_eq!(
        told(
            r#"{"published": {"module": "logic", "from": "1001", "to": "1002", "stages_us": {"rehearse": 200000},
                "rehearsal": {"calls": 12, "compared": 10, "state": "sample", "state_reason": "it's large",
                    "not_compared": [{"method": "hold", "why": "its arguments change"}], "took_ms": 200}}}"#
        ),
        "logic 1001 -> 1002 in 200.0 ms (rehearse 200.0); rehearsed in 200 ms on a part of the state (it's large) with \
         12 calls, 10 compared (not compared: `hold`: its arguments change)"
    );
    assert_eq!(
        told(r#"{"unchanged": {"module": "logic", "version": "1002"}}"#),
        "unchanged: logic 1002 is active already"
    );
    assert_eq!(
        told(r#"{"waiting": {"module": "net", "version": "1"}}"#),
        "waiting: net 1 serves once the host has initialized its module, or created an instance"
    );
}

#[test]
fn a_status_names_every_holder() {
    let status: Status = serde_json::from_str(
        r#"{"modules": [
            {"name": "logic", "phase": "probation", "later": true, "lifecycle": "started",
             "active": {"slot": "B", "version": "1002", "state_schema": 1, "in_flight": 2,
                        "holders": [{"thread": "worker", "thread_id": 7, "holds_by": "call", "method": null,
                                     "age_ms": 0},
                                    {"label": "GET /slow", "thread": "worker", "thread_id": 10, "holds_by": "call",
                                     "method": "slow", "age_ms": 20},
                                    {"label": "GET /feed", "thread": "", "thread_id": 0, "holds_by": "lease",
                                     "method": null, "age_ms": 2000}], "live_bytes": 1023},
             "standby": null,
             "retired": [
                {"version": "1000", "state": "draining",
                 "holders": [{"thread": "main", "thread_id": 6, "holds_by": "call", "method": "slow",
                              "age_ms": 1200}]},
                {"version": "999", "state": "retained", "reason": "threads still hold it", "live_bytes": 1048576,
                 "holders": [{"thread": "pool", "thread_id": 8, "holds_by": "destructors", "method": null,
                              "age_ms": 30},
                             {"thread": "timer", "thread_id": 9, "holds_by": "thread", "method": null,
                              "age_ms": 40}]},
                {"version": "998", "state": "unmapped", "holders": [], "live_bytes": 1228}],
             "swaps": {"committed": 1, "rolled_back": 0, "refused": 2},
             "last_swap": {"from": "1001", "to": "1002", "stages_us": {"publish": 20}, "forced": "it said no"}},
            {"name": "chat", "phase": "empty", "active": null, "standby": null, "retired": [],
             "lifecycle": "registered", "lifecycle_failure": "the port is taken",
             "swaps": {"committed": 0, "rolled_back": 0, "refused": 0}, "last_swap": null}]}"#,
    )
    .unwrap();
    let expected = "\
logic: probation
  lifecycle  started
  active     1002       B  schema 1  2 in flight  1023 bytes live
             held by thread `worker` (7) for 0 ms
             held by `GET /slow` on thread `worker` (10) in `slow` for 20 ms
             held by lease `GET /feed` for 2000 ms
  standby    -
  retired    1000       draining
             held by thread `main` (6) in `slow` for 1200 ms
  retired    999        retained, 1.0 MiB still live: threads still hold it
             held by thread `pool` (8), which hasn't called since, for 30 ms
             held by its own thread `timer` (9) for 40 ms
  retired    998        unmapped, 1.2 KiB still live
  swaps      1 committed, 0 rolled back, 2 refused
  last swap  1001 -> 1002 in 0.02 ms (publish 0.02), forced: it said no

chat: empty
  lifecycle  registered: the port is taken
  active     -
  standby    -
  swaps      0 committed, 0 rolled back, 0 refused
";
    assert_eq!(status.to_string(), expected);
}

#[test]
fn a_status_tells_of_what_is_left_of_modules_that_were_not_taken() {
    let status: Status = serde_json::from_str(
        r#"{"modules": [], "refused": [
            {"module": "chat", "version": "1001", "state": "retained", "reason": "threads still hold it",
             "live_bytes": null,
             "holders": [{"thread": "timer", "thread_id": 9, "holds_by": "thread", "method": null, "age_ms": 40}]}]}"#,
    )
    .unwrap();
    let expected = "
chat: not taken
  retired    1001       retained: threads still hold it
             held by its own thread `timer` (9) for 40 ms
";
    assert_eq!(status.to_string(), expected);
}

#[test]
fn a_push_that_migrates_the_state_says_so() {
    let told = |migrated: &str| {
        let answer = format!(
            r#"{{"published": {{"module": "logic", "from": "1001", "to": "1002", "committed": "1001",
                "stages_us": {{"hand_over": 1500}}, "migrated": {migrated}}}}}"#
        );
        serde_json::from_str::<PushOutcome>(&answer).unwrap().to_string()
    };
    assert_eq!(
        told(r#"{"from_schema": 1, "to_schema": 2, "attempts": 3, "pause_us": 50, "shards": 1024}"#),
        "logic 1001 -> 1002 in 1.5 ms (hand over 1.5); schema 1 -> 2, paused 0.05 ms after 3 tries, \
         1024 shards; 1001 was on probation and is committed early"
    );
    let told = told(r#"{"from_schema": 2, "to_schema": 1, "attempts": 1, "pause_us": 400, "shards": 1}"#);
    assert!(told.contains("; schema 2 -> 1, paused 0.4 ms after 1 try, 1 shard; "), "{told}");
}

fn migration(fields: &str) -> Migration {
    let holder =
        r#"{"thread": "worker", "thread_id": 7, "holds_by": "call", "method": "slow", "age_ms": 12}"#;
    let fields = fields.replace("HOLDER", holder);
    serde_json::from_str(&format!(
        r#"{{"from_schema": 1, "to_schema": 2, "later": 1, {fields}, "done": 410, "attempts": 3}}"#
    ))
    .unwrap()
}

#[test]
fn a_migration_is_told_in_one_line() {
    for (fields, line) in [
        (r#""stage": "checking", "shards": 1024, "waits_for": []"#, "checking 40 % (410 of 1024 shards)"),
        (r#""stage": "checking", "shards": 0, "waits_for": []"#, "checking"),
        (
            r#""stage": "checking", "shards": 0, "waits_for": [HOLDER]"#,
            "waiting for a moment without a call in the state, 3 tries so far",
        ),
        (r#""stage": "handing-over", "shards": 0, "waits_for": []"#, "handing over"),
        (
            r#""stage": "sweeping", "shards": 1024, "waits_for": [], "pause_us": 50"#,
            "sweeping 40 % (410 of 1024 shards), paused 0.05 ms after 3 tries",
        ),
        (
            r#""stage": "stuck", "shards": 1024, "waits_for": [], "pause_us": 50, "reason": "`health`: too large""#,
            "stuck after 410 of 1024 shards, paused 0.05 ms after 3 tries: `health`: too large",
        ),
        (
            r#""stage": "done", "shards": 1, "waits_for": [], "pause_us": 50"#,
            "done, 1 shard, paused 0.05 ms after 3 tries",
        ),
        (r#""stage": "failed", "shards": 1, "waits_for": [], "reason": "no""#, "failed: no"),
        (r#""stage": "later", "shards": 1, "waits_for": []"#, "under way"),
    ] {
        assert_eq!(migration(fields).to_string(), format!("schema 1 -> 2  {line}"), "{fields}");
    }
}

#[test]
fn who_is_in_the_way_is_named_while_it_waits() {
    let waits = |holders: &str| {
        let fields = format!(r#""stage": "handing-over", "shards": 0, "waits_for": [{holders}]"#);
        migration(&fields).doing()
    };
    let one = "held by thread `worker` (7) in `slow` for 12 ms";
    assert_eq!(
        waits("HOLDER"),
        format!("waiting for a moment without a call in the state: {one}, 3 tries so far")
    );
    assert_eq!(
        waits("HOLDER, HOLDER, HOLDER, HOLDER, HOLDER"),
        format!(
            "waiting for a moment without a call in the state: {one}, {one}, {one}, and 2 more, 3 tries so far"
        )
    );
}

#[test]
fn a_status_tells_of_migrations_snapshots_and_suspicions() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let taken_at = now - 5 * 60_000 - 30_000;
    let status: Status = serde_json::from_str(&format!(
        r#"{{"modules": [
            {{"name": "logic", "phase": "handing-over",
              "active": {{"slot": "A", "version": "1001", "state_schema": 1, "in_flight": 0, "holders": []}},
              "standby": null, "retired": [],
              "swaps": {{"committed": 0, "rolled_back": 0, "refused": 0}}, "last_swap": null,
              "migration": {{"from_schema": 1, "to_schema": 2, "stage": "handing-over", "shards": 0, "done": 0,
                             "attempts": 1, "waits_for": [{{"thread": "worker", "thread_id": 7, "holds_by": "call",
                             "method": "slow", "age_ms": 12}}]}},
              "snapshots": {{"taken": 3, "failed": 1, "under_way": true, "last_failure": "the disk is full",
                             "restored_from": "snapshots/logic.000001.snapshot",
                             "passed_over": ["snapshots/logic.000002.snapshot is damaged"],
                             "last": {{"path": "snapshots/logic.000004.snapshot", "bytes": 2048,
                                       "taken_at_ms": {taken_at}, "took_us": 3100, "pause_us": 50}}}},
              "suspect": {{"version": "1001", "method": "hit", "message": "the sky fell",
                           "location": "src/lib.rs:1:1"}}}},
            {{"name": "chat", "phase": "empty", "active": null, "standby": null, "retired": [],
              "swaps": {{"committed": 0, "rolled_back": 0, "refused": 0}}, "last_swap": null,
              "snapshots": {{"taken": 0, "failed": 0, "under_way": false, "last": null, "last_failure": null,
                             "restored_from": null}}}}]}}"#
    ))
    .unwrap();
    let expected = "\
logic: handing-over
  active     1001       A  schema 1  0 in flight
  standby    -
  suspect    `hit` of 1001 panicked and may have left the state half changed: the sky fell (src/lib.rs:1:1)
  migration  schema 1 -> 2  waiting for a moment without a call in the state, 1 try so far
             held by thread `worker` (7) in `slow` for 12 ms
  snapshots  3 taken, 1 failed, one is being taken
             last 5 min ago: snapshots/logic.000004.snapshot, 2.0 KiB, in 3.1 ms, paused 0.05 ms
             last failure: the disk is full
             the state was restored from snapshots/logic.000001.snapshot
             passed over: snapshots/logic.000002.snapshot is damaged
  swaps      0 committed, 0 rolled back, 0 refused

chat: empty
  active     -
  standby    -
  snapshots  0 taken, 0 failed
  swaps      0 committed, 0 rolled back, 0 refused
";
    assert_eq!(status.to_string(), expected);
}

#[test]
fn an_age_has_two_digits_if_it_can() {
    for (age_ms, told) in [
        (0, "0 s ago"),
        (119_999, "119 s ago"),
        (120_000, "2 min ago"),
        (7_200_000, "2 h ago"),
        (172_800_000, "2 days ago"),
    ] {
        assert_eq!(snapshots::ago(age_ms), told);
    }
}

#[test]
fn what_was_done_about_a_state_is_told() {
    let restored: Restored = serde_json::from_str(r#"{"module": "logic", "path": "a.snapshot"}"#).unwrap();
    assert_eq!(restored.to_string(), "the state of logic is restored from a.snapshot");
    let restored: Restored = serde_json::from_str(r#"{"module": "logic", "path": null}"#).unwrap();
    assert_eq!(restored.to_string(), "the state of logic is restored from its last snapshot");
    let trusted: Trusted = serde_json::from_str(r#"{"module": "logic"}"#).unwrap();
    assert_eq!(trusted.to_string(), "the state of logic is trusted as it is");
}

#[test]
fn a_status_says_what_is_missing_from_the_audit_log() {
    let told = |audit: &str| {
        let status = format!(r#"{{"modules": [], "audit": {audit}}}"#);
        serde_json::from_str::<Status>(&status).unwrap().to_string()
    };
    assert_eq!(
        told(r#"{"lines": 3, "failures": 1, "last_failure": "the disk is full"}"#),
        "\naudit log: 3 written, 1 missing: the disk is full\n"
    );
    assert_eq!(
        told(r#"{"lines": 3, "failures": 0, "last_failure": null}"#),
        "\naudit log: 3 written, 0 missing\n"
    );
}

#[test]
fn a_probation_and_its_end_are_told() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let ended = now - 5 * 60_000 - 30_000;
    let module = |more: &str, swaps: &str| {
        let status = format!(
            r#"{{"modules": [{{"name": "logic", "phase": "probation", "active": null, "standby": null, "retired": [],
                 "swaps": {{{swaps}}}, "last_swap": null, {more}}}]}}"#
        );
        serde_json::from_str::<Status>(&status).unwrap().to_string()
    };
    let none = r#""committed": 0, "rolled_back": 0, "rolled_back_by_health": 0, "refused": 0"#;
    let probation = |more: &str| {
        let method = r#""calls": 200, "median_us": 10.04"#;
        format!(
            r#""probation": {{"version": "1002", "since_ms": 1, "ends_ms": 2, "calls": 201, "panics": 1, "errors": 2,
                "methods": [{{"method": "look", {method}}}, {{"method": "hit", {method}, "usual_us": 9.5}}], {more}}}"#
        )
    };
    let expected = "\
logic: probation
  active     -
  standby    -
  probation  0.0 s left: 201 calls, 1 panicked, 2 errors
             `hit` 200 calls, 10.0 µs (usually 9.5)
  swaps      0 committed, 0 rolled back, 0 refused
";
    assert_eq!(module(&probation(r#""health": "good""#), none), expected);
    let told =
        module(&probation(r#""health": "bad", "condemned": {"code": "unhealthy", "reason": "no"}"#), none);
    assert!(told.contains(" 2 errors, health bad, to be rolled back\n"), "{told}");
    let verdict = |verdict: &str| {
        format!(r#""last_verdict": {{"number": 1, "version": "1002", "at_ms": {ended}, {verdict}}}"#)
    };
    let rolled_back = r#""verdict": "rolled-back", "reason": {"code": "panics", "calls": 100, "panics": 5, "allowed": 10},
        "message": "5 of 100 calls panicked, and 10 of 1,000 may""#;
    let some = r#""committed": 1, "rolled_back": 2, "rolled_back_by_health": 1, "refused": 0"#;
    let told = module(&verdict(rolled_back), some);
    let expected =
        "  verdict    1002 was rolled back 5 min ago: 5 of 100 calls panicked, and 10 of 1,000 may\n";
    assert!(told.contains(expected), "{told}");
    assert!(told.contains("1 committed, 2 rolled back (1 by health), 0 refused"), "{told}");
    assert!(!module(&verdict(r#""verdict": "committed""#), some).contains("verdict"));
}

#[test]
fn a_registry_shows_what_each_version_exports() {
    let registry: Registry = serde_json::from_str(
        r#"{"modules": [
            {"name": "empty", "interface": "Game", "active": null, "standby": null},
            {"name": "logic", "interface": "Game", "later": 1,
             "active": {"version": "1002", "origin": "library",
                        "functions": [{"name": "hit", "access": "exclusive", "fingerprint": "f"}],
                        "constants": [{"name": "GREETING", "type": "str", "value": "two\nlines"}],
                        "types": [{"name": "World", "schema": 2, "fingerprint": "f"}]},
             "standby": {"version": "1", "origin": "built-in", "functions": [], "constants": [], "types": []}}]}"#,
    )
    .unwrap();
    let expected = [
        "empty: Game",
        "  active     none",
        "logic: Game",
        "  active     1002 library",
        "    function hit exclusive",
        r"    constant GREETING: str = two\nlines",
        "    type     World, schema 2",
        "  standby    1 built-in",
    ];
    assert_eq!(registry.to_string().lines().collect::<Vec<_>>(), expected);
}
