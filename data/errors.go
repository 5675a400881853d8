package data

import "errors"

// What may be wrong with a request.
var (
	// ErrNotFound: there is no such event, message or gateway.
	ErrNotFound = errors.New("not found")
	// ErrUnknownGateway: no gateway of that name is declared.
	ErrUnknownGateway = errors.New("unknown gateway")
	// ErrKeyReused: the idempotency key was used for another request.
	ErrKeyReused = errors.New("idempotency key used for another request")
	// ErrTooLarge: the request does not fit into one commit.
	ErrTooLarge = errors.New("too large for one commit")
	// ErrSending: an attempt is under way.
	ErrSending = errors.New("message is being sent")
	// ErrEnded: the message is in a final state.
	ErrEnded = errors.New("message has ended")
	// ErrNotDead: only dead letters can be sent again.
	ErrNotDead = errors.New("message is no dead letter")
	// ErrResent: the dead letter was sent again already.
	ErrResent = errors.New("message was sent again already")
	// ErrConflict: what was asked does not fit the record's state any more.
	ErrConflict = errors.New("does not fit the state of the record")
	// ErrUnusable: the gateway is declared in a way that cannot be used.
	ErrUnusable = errors.New("declaration of the gateway cannot be used")
	// ErrDeclaredInFile: the configuration file declares the gateway.
	ErrDeclaredInFile = errors.New("gateway is declared in the configuration file")
	// ErrExists: there is a gateway of that name.
	ErrExists = errors.New("gateway exists")
	// ErrRouted: a route names the gateway.
	ErrRouted = errors.New("a route names the gateway")
	// ErrTooMany: there are as many as there may be.
	ErrTooMany = errors.New("too many")
	// ErrBadCursor: the cursor is not one that we gave out.
	ErrBadCursor = errors.New("not a cursor of ours")
)

// Why a request cannot be served now, though nothing is wrong with it.
var (
	// ErrNoSpace: the disk is nearly full, nothing new is taken.
	ErrNoSpace = errors.New("not enough disk space")
	// ErrOverloaded: too many requests wait for the disk.
	ErrOverloaded = errors.New("overloaded")
	// ErrBacklog: the gateway has as many messages to send as it may have.
	ErrBacklog = errors.New("backlog of the gateway is full")
	// ErrStopping: the process is about to end.
	ErrStopping = errors.New("stopping")
	// ErrNoAnswer: the store did not answer in time; whether the records are
	// stored is not known.
	ErrNoAnswer = errors.New("store did not answer in time")
	// ErrStorage: the store failed; what was under way may or may not be stored.
	ErrStorage = errors.New("storage failed")
)

// Why a store cannot be opened.
var (
	// ErrInUse: another process has the store open.
	ErrInUse = errors.New("store is in use by another process")
	// ErrDamaged: the store holds less than it acknowledged, or cannot be read.
	ErrDamaged = errors.New("store is damaged")
	// ErrNewerFormat: a later version of the program wrote the store.
	ErrNewerFormat = errors.New("store has a newer format")
	// ErrOlderFormat: a version before the first release wrote the store.
	ErrOlderFormat = errors.New("store has an older format")
	// ErrUnrestored: a restore into the directory was cut off.
	ErrUnrestored = errors.New("a restore into this directory was cut off")
	// ErrNoDirectory: there is something else where the directory is to be.
	ErrNoDirectory = errors.New("not a directory")
)

// Why a backup cannot be restored.
var (
	// ErrBadBackup: it was never one, or is cut off or changed.
	ErrBadBackup = errors.New("backup is damaged")
	// ErrOccupied: there is something in the directory to restore into.
	ErrOccupied = errors.New("directory is not empty")
)
