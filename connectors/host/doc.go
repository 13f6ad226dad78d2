// Package host runs connectors: it starts a program the operator has named, verifies it, learns what it
// answers, puts its configuration into force, asks it and replaces its process when that ends or hangs.
// It knows nothing of policies and never decides which capability may be asked.
//
// A connector is the vendor's code in a process of its own. go-plugin negotiates with it and encrypts the
// connection; everything else about the process is done here and in the runner of internal/process, since
// v1.8 of go-plugin leaves these hazards to its host:
//
//   - A log line such as {"@message":1} makes its log bridge panic: it gets no standard error to read,
//     and our own pump has no format that a line has to have.
//   - Client.Kill and Client.Ping have no deadline: neither is used. Every call here has one, and a stop
//     ends with SIGKILL to the process group.
//   - The end of a process is noticed when its standard files end, which a grandchild can hold open: the
//     process itself is waited for, its group is killed and the files are closed.
//   - Kill stops a server under its calls: Close drains first.
//   - Nothing restarts, and a client that is not killed leaks: there is a supervisor, and the connection
//     is ours, so that nothing of go-plugin is left when the process has ended.
//   - A connector does not notice the gateway's death: it gets a death signal from the kernel, on a thread
//     that lives as long as it does, and the end of its standard input.
//   - The gateway's environment and standard input are inherited: neither is here.
//   - Sockets land in a shared directory and stay there: each process has a private one that is removed.
//   - A hash is used up by one check, and what is hashed need not be what is started: each start hashes an
//     open file and starts that very file. Whoever may write to the file in place can still change it
//     between the two, so only root, or somebody as trusted, may be able to.
//   - Answers of any size are read: Limits.MaxMessage bounds them, and their headers are bounded as well.
//   - A line of 64 KiB on standard output stops its reader and then the process: ours drains everything.
//   - A greeting on standard output breaks the handshake: lines before it are skipped, up to 64 KiB.
//   - A process may answer without encryption, or print the handshake and serve nothing: the certificate
//     is required, and a health probe belongs to the start.
//   - Socket paths longer than the kernel allows fail obscurely: the directory's length is checked.
//
// That a panic of a capability ends its process is prevented by package serve; a connector that is made
// otherwise is restarted. That the broker, reflection and standard files are served over gRPC too costs
// nothing here: the broker is not used, since the gateway offers connectors no service, and what arrives
// as standard output is logged. The certificates of go-plugin last for decades; they are made anew for
// each process and are worth nothing after it.
package host
