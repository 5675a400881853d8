package main

// controls are all of them, by the mode that must find them out.
func controls() (all []culprit) {
	for _, some := range [][]culprit{ofCrashes(), ofDisks(), ofDamage(), ofBackups(), ofDelivery(), ofIntake(), ofProcesses()} {
		all = append(all, some...)
	}
	return all
}

// in is a mode with its options as they are.
func in(mode string) []part { return []part{{mode: mode}} }

func ofCrashes() []culprit {
	return []culprit{
		{
			name: "hasty", without: "wait for the commit with its answer", trials: in("kill"),
			shows: []symptom{{"was acknowledged"}},
			changes: []change{
				{"data/batch.go", "// Empty reports whether", "// Hasty answers.\nvar Hasty = func() {}\n\n// Empty reports whether"},
				{"actors/persister/persister.go", "err := a.apply()", "data.Hasty = func() { a.group.answer(nil) }\n\terr := a.apply()"},
				{"actors/persister/persister.go", "\ta.group.answer(err)\n\ta.failed = err\n", "\ta.failed = err\n"},
				// The pause makes a few rounds enough.
				{"data/badger/transaction.go", "start := time.Now()", "start := time.Now()\n\tdata.Hasty()\n\tdata.Hasty = func() {}\n\ttime.Sleep(10 * time.Millisecond)"},
			},
		},
		{
			// The request leaves when the attempt is granted, while it is written.
			name: "unrecorded", without: "have an attempt on disk before its request leaves", trials: in("kill"),
			shows: []symptom{{" arrived as attempt "}},
			changes: []change{
				{"data/batch.go", "// Empty reports whether", "// Ahead grants.\nvar Ahead = func() {}\n\n// Empty reports whether"},
				{"actors/persister/persister.go", "err := a.apply()", `data.Ahead = func() {
		rest := a.group.records[:0]
		for _, m := range a.group.records {
			if len(m.Settles) > 0 {
				rest = append(rest, m)
				continue
			}
			m.Done(nil)
		}
		a.group.records = rest
	}
	err := a.apply()`},
				{"data/badger/apply.go", "err = w.commit()", "data.Ahead()\n\t\tdata.Ahead = func() {}\n\t\ttime.Sleep(10 * time.Millisecond)\n\t\terr = w.commit()"},
			},
		},
		{
			name: "uncounted", without: "count an attempt that a crash cut off", trials: append(in("kill"), in("sync-kill")...),
			shows: []symptom{{" arrived as attempt "}},
			changes: []change{{
				"data/badger/recovery.go", "f.CutOff(l.gateway, s.opened, data.CauseCutOff)",
				"&data.Settle{Gateway: l.gateway, ID: f.ID, Number: f.Number, Ended: s.opened, Result: data.Result{Outcome: data.OutcomeWithdrawn}}",
			}},
		},
		{
			name: "early", without: "wait between two attempts", trials: in("kill"),
			// By the program's own record, and at the gateway.
			shows:   []symptom{{"by the program's own record attempt "}, {" after the end of attempt "}},
			changes: []change{{"data/attempt.go", "Next{State: Waiting, Due: a.Ended.Add(p.pause(a))}", "Next{State: Waiting, Due: a.Ended}"}},
		},
		{
			name: "repeated", without: "look up an idempotency key", trials: in("kill"),
			shows: []symptom{{"are the same record", "repeated with its key"}},
			changes: []change{{
				"data/badger/saves.go", "known, found, err := readAnswered(t.txn, o.Key.Key)",
				"known, found, err := readAnswered(t.txn, o.Key.Key)\n\tfound = false",
			}},
		},
	}
}

func ofDisks() []culprit {
	return []culprit{
		{
			name: "no-sync", without: "flush what it writes", trials: in("power"),
			shows:   []symptom{{"was acknowledged", "exit code 4"}},
			changes: []change{{"data/badger/store.go", "WithSyncWrites(true)", "WithSyncWrites(false)"}},
		},
		{
			// It ends as it must, a moment later: else nobody would hear its answers.
			name: "bluffing", without: "stop acknowledging when a flush has failed", trials: in("sync-error"),
			shows: []symptom{{" and acknowledged at "}},
			changes: []change{
				{"data/badger/apply.go", "return s.fail(err)", "_ = s.fail(err)"},
				{"data/badger/store.go", "if s.failure.CompareAndSwap(nil, &err) {", `time.AfterFunc(100*time.Millisecond, func() {
		if s.failure.CompareAndSwap(nil, &err) {
			close(s.failed)
		}
	})
	if s == nil {`},
			},
		},
		{
			name: "unguarded", without: "refuse intake while there is space to finish", trials: []part{{mode: "full-disk", rounds: 2, options: "--fill=load"}},
			shows:   []symptom{{"of the reserve were left", "when the reserve had been touched", "when its disk filled up"}},
			changes: []change{{"data/badger/space.go", "low := left < need", "low := need < 0"}},
		},
	}
}

func ofDamage() []culprit {
	return []culprit{
		{
			name: "uncompared", without: "compare what is stored with the number of the last commit", trials: in("damage"),
			shows:   []symptom{{"was acknowledged"}},
			changes: []change{{"data/badger/recovery.go", "if loss != nil && !s.options.AcceptLoss {", "if loss != nil && s.options.Path == \"\" {"}},
		},
		// Three checksums lie over each other. With all but the one of the records in
		// place, or all but the one at the start, next to nothing can be seen: what it
		// misses another one finds. So those go in pairs, and each pair shows what the
		// part that it shares does not show alone.
		{
			name: "trusting", without: "compare the checksum of a block when it reads one", trials: in("damage"),
			shows:   []symptom{{"was acknowledged"}},
			changes: []change{{"data/badger/store.go", "options.OnBlockRead", "options.NoVerification"}},
		},
		{
			name: "unverified", without: "compare the checksums of blocks when it starts, nor later", trials: []part{{mode: "damage", options: "--running=false"}},
			shows: []symptom{{"was acknowledged"}},
			changes: []change{
				{"data/badger/tables.go", "crc32.Checksum(block, castagnoli) != sum", "len(block) == int(sum)"},
				{"data/badger/store.go", "options.OnBlockRead", "options.NoVerification"},
			},
		},
		{
			name: "unsealed", without: "compare the checksum of a record, nor that of its block", trials: in("damage"),
			shows: []symptom{{"which nobody sent"}},
			changes: []change{
				{"data/badger/record.go", "binary.BigEndian.Uint32(value[1:]) != checksum(key, value)", "len(key) == 0"},
				{"data/badger/store.go", "options.OnBlockRead", "options.NoVerification"},
			},
		},
		{
			name: "unheard", without: "hear of a block that changes while the store is open", trials: in("damage"),
			shows:   []symptom{{"was acknowledged", "is stored with"}},
			changes: []change{{"data/badger/rot.go", "mismatches.Add(1)", "mismatches.Add(0)"}},
		},
	}
}

func ofBackups() []culprit {
	return []culprit{{
		// It would notice by itself that what it has does not fit together, which is another
		// promise.
		name: "unpinned", without: "keep to one moment while it makes a backup", trials: in("restore"),
		shows: []symptom{{"of another moment", "is not in the backup as it is stored", "does not fit together"}},
		changes: []change{
			{"data/badger/backup.go", "err = b.s.readAt(b.pin.version, func(txn *badger.Txn) error {\n\t\to :=", "time.Sleep(30 * time.Millisecond)\n\terr = b.s.read(func(txn *badger.Txn) error {\n\t\to :="},
			{"data/badger/census.go", "return errors.Join(problems...)", "problems = nil\n\treturn errors.Join(problems...)"},
		},
	}}
}

func ofDelivery() []culprit {
	return []culprit{
		{
			name: "hoarding", without: "bound what a rate saves up while nothing leaves",
			trials:  []part{{mode: "pause", options: "--shortest=2s --longest=4s --halts=1"}},
			shows:   []symptom{{" requests came within "}},
			changes: []change{{"actors/gateway/bucket.go", "max(1, b.rate*slack)", "max(1, b.rate*3600)"}},
		},
		{
			name: "credulous", without: "distrust a connection on which something came that nobody asked for",
			trials:  []part{{mode: "gateway", rounds: 3, options: "--only=forged --messages=5"}},
			shows:   []symptom{{"its gateway said 2xx to that one: false"}},
			changes: []change{{"http/egress/client.go", "if conn.quiet() && (", "if conn.quiet() || true && ("}},
		},
		{
			name: "insatiable", without: "bound what it reads of an answer's head",
			trials:  []part{{mode: "gateway", rounds: 3, options: "--only=MB --messages=20"}},
			shows:   []symptom{{" of anonymous memory, "}},
			changes: []change{{"http/egress/exchange.go", "MaxHead = 64 << 10", "MaxHead = 64 << 20"}},
		},
	}
}

func ofIntake() []culprit {
	return []culprit{
		{
			name: "gaping", without: "bound the length of a body",
			trials:  []part{{mode: "intake", rounds: 2, options: "--attack=bodies --bodies=100"}},
			shows:   []symptom{{"bad body (too large): "}},
			changes: []change{{"http/server.go", "s.opts.BodyLimit", "1 << 30"}},
		},
		{
			name: "waiting", without: "bound how long a request may take to come",
			trials:  []part{{mode: "intake", rounds: 2, options: "--attack=slowloris --connections=60"}},
			shows:   []symptom{{"byte by byte is still there"}},
			changes: []change{{"http/server.go", "s.opts.ReadTimeout", "0"}},
		},
	}
}

func ofProcesses() []culprit {
	return []culprit{
		{
			// Badger locks its directory too.
			name: "unlocked", without: "keep others from its store", trials: []part{{mode: "start", options: "--case=race"}},
			shows: []symptom{{"two programs serve from one directory"}},
			changes: []change{
				{"data/badger/space.go", "unix.LOCK_EX|unix.LOCK_NB", "unix.LOCK_UN"},
				{"data/badger/store.go", "WithSyncWrites(true).", "WithSyncWrites(true).WithBypassLockGuard(true)."},
			},
		},
		{
			name: "smiling", without: "say by its code that a second signal cut it short", trials: []part{{mode: "start", options: "--case=second"}},
			shows:   []symptom{{"asked to end twice, the program ended with 0"}},
			changes: []change{{"cmd/postrider/main.go", "os.Exit(exitFailure)", "os.Exit(exitClean)"}},
		},
		{
			name: "leaking", without: "let go of what an attempt took: it keeps 8 KiB",
			trials: []part{{mode: "soak", rounds: 1, options: "--duration=65s --every=10m"}},
			shows:  []symptom{{"heap rose by "}},
			changes: []change{
				{"http/egress/client.go", "// New returns a client.", "var kept sync.Map\n\n// New returns a client."},
				{"http/egress/client.go", "deadline := time.Now().Add(timeout)", "deadline := time.Now().Add(timeout)\n\tkept.Store(new([8 << 10]byte), nil)"},
			},
		},
	}
}
