//! What is armed and silenced outlives the database that it is stored in.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::*;
use watchpost_core::{
    Actor, AfterLoss, AreaPolicy, AreaState, ArmingCommand, Effects, Mode, Router, RoutingEvent,
    RoutingState, SilenceCommand, SilenceMatch, Target,
};
use watchpost_store::{Armed, Batch, OpenReport, OperatorAct, Store, StoreError};

/// The real routing step of a site with a yard.
fn routing(state: &RoutingState, event: RoutingEvent<'_>) -> Effects {
    let yard = AreaPolicy {
        name: "Yard".into(),
        modes: vec![Mode::Night],
        delayed: Vec::new(),
        exit_delay: Duration::ZERO,
        entry_delay: Duration::ZERO,
        trigger_time: Duration::from_secs(180),
        connections: Vec::new(),
        after_loss: AfterLoss::MessagesOnly,
        auto_arm: Vec::new(),
        abort_window: None,
        swinger: None,
    };
    let mail = Target {
        name: "mail".into(),
        ..Target::default()
    };
    let router = Router::new(vec![mail], Vec::new()).with_areas(vec![yard]);
    router.step(at(0), state, event)
}

fn arm(store: &mut Store) {
    let arm = ArmingCommand::Arm {
        mode: Mode::Night,
        areas: Vec::new(),
        force: false,
        by: Actor::Operator,
    };
    let done = store.perform(&OperatorAct::Arming(arm), at(0), &routing).unwrap();
    assert_eq!(done.refused, None);
}

fn disarm(store: &mut Store) {
    let (areas, by) = (Vec::new(), Actor::Operator);
    let disarm = OperatorAct::Arming(ArmingCommand::Disarm { areas, by });
    store.perform(&disarm, at(0), &routing).unwrap();
}

fn silence(store: &mut Store) {
    let painters = SilenceCommand::Begin {
        matches: Box::new(SilenceMatch {
            camera: vec!["Back*".into()],
            ..SilenceMatch::default()
        }),
        lasts: Duration::from_secs(3_600),
        why: "painters".into(),
        by: Actor::Operator,
    };
    store
        .perform(&OperatorAct::Silence(painters), at(0), &routing)
        .unwrap();
}

/// What is due is done.
fn look(store: &mut Store) {
    let due = Batch {
        due: Some(at(0)),
        ..Batch::default()
    };
    store.commit(&due, &routing).unwrap();
}

/// A site that is armed, with a silence, and what it knows of them.
fn armed() -> (tempfile::TempDir, RoutingState) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    arm(&mut store);
    silence(&mut store);
    let state = store.routing_state().to_keep();
    (dir, state)
}

fn reopen(dir: &Path) -> (Store, OpenReport) {
    Store::open(options(dir)).unwrap()
}

fn file(dir: &Path) -> PathBuf {
    dir.join("armed.json")
}

fn damage(dir: &Path) {
    fs::write(dir.join("watchpost.db"), vec![b'x'; 10_000]).unwrap();
}

fn yard(store: &Store) -> Option<(AreaState, bool)> {
    let area = store.routing_state().areas.get("Yard")?;
    Some((area.state.clone(), area.messages_only))
}

fn says(report: &OpenReport, sentence: &str) -> bool {
    report.summary().is_some_and(|summary| summary.contains(sentence))
}

#[test]
fn a_new_database_remembers_what_was_armed_and_silenced() {
    let (dir, before) = armed();
    damage(dir.path());
    let (store, report) = reopen(dir.path());
    assert_eq!(report.armed, Armed::Restored);
    assert!(says(&report, "What was armed and silenced is as it was."));
    assert_eq!(store.routing_state().to_keep(), before);
    drop(store);
    // And not only the file: the database has it.
    fs::remove_file(file(dir.path())).unwrap();
    let (store, report) = reopen(dir.path());
    assert_eq!((report.armed, report.summary()), (Armed::Known, None));
    assert_eq!(store.routing_state().to_keep(), before);
    assert_eq!(file(dir.path()).metadata().unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_start_that_is_cut_short_behind_the_new_database_loses_nothing() {
    let (dir, before) = armed();
    let empty = tempfile::tempdir().unwrap();
    drop(open(empty.path()));
    fs::copy(empty.path().join("watchpost.db"), dir.path().join("watchpost.db")).unwrap();
    let (store, report) = reopen(dir.path());
    assert_eq!(report.armed, Armed::Restored);
    assert_eq!(store.routing_state().to_keep(), before);
}

#[test]
fn a_sound_database_counts_and_mends_the_file() {
    let (dir, _) = armed();
    let (mut store, _) = reopen(dir.path());
    disarm(&mut store);
    let disarmed = fs::read(file(dir.path())).unwrap();
    arm(&mut store);
    let before = store.routing_state().clone();
    drop(store);
    // The hub was killed between its commit and the file.
    let newest = fs::read(file(dir.path())).unwrap();
    fs::write(file(dir.path()), disarmed).unwrap();
    let (store, report) = reopen(dir.path());
    assert_eq!((report.armed, report.summary()), (Armed::Known, None));
    assert_eq!(*store.routing_state(), before);
    assert_eq!(fs::read(file(dir.path())).unwrap(), newest);
}

#[test]
fn the_file_is_left_alone_by_alerts() {
    let (dir, _) = armed();
    let (mut store, _) = reopen(dir.path());
    // Held open, so that its number is no other file's.
    let held = File::open(file(dir.path())).unwrap();
    let before = held.metadata().unwrap().ino();
    for n in 1..=3 {
        let batch = arrivals(vec![arrival(id(n), &["mail"])]);
        store.commit(&batch, &routing).unwrap();
        store_all(&mut store, vec![arrival(id(10 + n), &[])]);
    }
    assert_eq!(file(dir.path()).metadata().unwrap().ino(), before);
    disarm(&mut store);
    assert_ne!(file(dir.path()).metadata().unwrap().ino(), before);
}

#[test]
fn a_file_that_cannot_be_written_keeps_nothing_from_being_stored_and_is_not_left_wrong() {
    let (dir, _) = armed();
    let (mut store, _) = reopen(dir.path());
    disarm(&mut store);
    let draft = dir.path().join("armed.json.new");
    fs::create_dir(&draft).unwrap();
    arm(&mut store);
    let night = (AreaState::Armed { mode: Mode::Night }, false);
    assert_eq!(yard(&store), Some(night.clone()));
    assert!(!file(dir.path()).exists(), "it said that it is disarmed");
    // What the hub itself knows comes first.
    let damaged = StoreError::Corrupt {
        path: dir.path().join("watchpost.db"),
        what: "a bad page".into(),
    };
    let report = store.recreate(&damaged).unwrap();
    assert_eq!(
        (report.armed, yard(&store)),
        (Armed::Restored, Some(night.clone()))
    );
    // It is written as soon as that works.
    fs::remove_dir(&draft).unwrap();
    store_all(&mut store, vec![arrival(id(1), &["mail"])]);
    drop(store);
    damage(dir.path());
    let (store, report) = reopen(dir.path());
    assert_eq!((report.armed, yard(&store)), (Armed::Restored, Some(night)));
}

#[test]
fn where_both_are_lost_an_area_is_what_its_policy_says() {
    for text in [None, Some("{\"areas\""), Some("\0\0\0")] {
        let (dir, _) = armed();
        damage(dir.path());
        match text {
            None => fs::remove_file(file(dir.path())).unwrap(),
            Some(text) => fs::write(file(dir.path()), text).unwrap(),
        }
        let (store, report) = reopen(dir.path());
        let lost = "What was armed and silenced is not known any more.";
        assert_eq!(
            says(&report, lost),
            text.is_some(),
            "without a file there may have been nothing"
        );
        drop(store);
        // It is still known that it is lost when the hub ends before it has done anything about it.
        let (mut store, _) = reopen(dir.path());
        look(&mut store);
        let night = AreaState::Armed { mode: Mode::Night };
        assert_eq!(yard(&store), Some((night, true)));
    }
}

#[test]
fn a_site_that_has_armed_and_silenced_nothing_has_no_file_and_hears_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store_all(&mut store, vec![arrival(id(1), &["mail"]), arrival(id(2), &[])]);
    drop(store);
    assert!(!file(dir.path()).exists());
    damage(dir.path());
    let (_store, report) = reopen(dir.path());
    assert!(report.quarantined.is_some());
    assert_eq!(report.armed, Armed::Known);
    assert!(!says(&report, "armed"), "{:?}", report.summary());
    // One that is new has nothing to say of its areas either.
    let empty = tempfile::tempdir().unwrap();
    let mut new = open(empty.path());
    look(&mut new);
    assert_eq!(yard(&new), Some((AreaState::Disarmed, false)));
}
