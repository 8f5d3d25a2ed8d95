//! `master`: the master only.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::drive::Drive;
use crate::app::args::MasterArgs;
use crate::app::board::Board;
use crate::app::exit::Ended;
use crate::app::place;
use crate::app::screen::Screen;
use crate::app::signals::{self, OnSignal};
use crate::master::Master;
use crate::wait::{How, Stop, lock};

/// Runs the verb.
pub(in crate::app) fn master<M: Master + clap::Args>(args: MasterArgs<M>, program: &str) -> Ended {
    let path = place::named(args.place.store.as_deref())?;
    let screen = Screen::with_bar();
    let (stop, board) = (Stop::new(), Arc::new(Mutex::new(Board::default())));
    let store = place::open_or_create(&path, &args.store_flags, &screen)?;
    let caught = signals::listen(ToMaster {
        screen: screen.clone(),
        stop: stop.clone(),
        board: Arc::clone(&board),
    })?;
    let mut config = args.master_flags.config();
    if let Some((least, greatest)) = args.poll {
        config = config.poll(least, greatest);
    }
    let drive = Drive {
        store: &store,
        screen: &screen,
        board: &board,
        stop: &stop,
        config,
    };
    screen.line(&format!(
        "{0}: workers are started with: {program} worker {0}",
        path.display()
    ));
    let driven = drive.run(args.master, || {});
    drive.sum_up(driven, &caught)
}

/// What signals do to a master: workers go on with what is in the store.
struct ToMaster {
    screen: Screen,
    stop: Stop,
    board: Arc<Mutex<Board>>,
}

impl OnSignal for ToMaster {
    fn first(&self, name: &str) {
        self.screen
            .line(&format!("{name}: the master stops; the workers go on"));
        self.stop.request(How::Now);
    }

    fn second(&self, name: &str) {
        self.screen.clear();
        self.screen.line(&format!("{name} again: ended at once"));
    }

    fn tell(&self) {
        let line = lock(&self.board).line(Instant::now());
        self.screen.line(&line);
    }
}
