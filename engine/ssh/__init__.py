"""SSH connections of one Task, without a thread per connection: what workers/paramiko.py stands on.

Floors: wire, codec, transport (the only module that touches paramiko's inside) | stream, pulse, channel, channels,
greeting, endings, connection | keys, login_plan, vault, auth, hostkeys, hostcerts, revoked_keys, config | dial,
proxy_command, window, attempt, peer, directory | sudo, session, command, sftp, what copies files and tidies up behind
it | holds, pool. key_sources stands apart: where unknown keys are looked up.
Everything runs in the thread that turns the reactor; `background.py` has the few threads for calls that can only block.

How a front end uses it (nothing here knows of a Task but through these values; `set_info` may be called at any time and
counts for workers that begin afterwards; `Worker.infos` says otherwise for one worker, which then reaches its nodes by
its own configuration, user, time to connect and rule for host keys, beside the others):

    task.set_default("distant_workername", "paramiko")
    task.set_info("ssh_config", path)        # as `ssh -F`; None: ~/.ssh/config and the system's; "none": no file
    task.set_info("ssh_user", "root")        # over User of the configuration; a worker's keyword `user` goes before it
    task.set_info("connect_timeout", 10)     # seconds from the first packet to the end of authentication
    task.set_info("ssh_window", 64)          # handshakes at once, apart from the fanout of commands
    task.set_info("ssh_host_keys", "ask")    # or "accept-new", "refuse"; None: StrictHostKeyChecking
    task.set_info("ssh_ask", ask)            # a callable, see below; None: nobody to ask (batch)
    task.set_info("ssh_notice", tell)        # a callable that is given one line of text
    task.set_info("ssh_live", tell)          # a callable that is given the number of connections when it has changed
    task.set_info("ssh_trace", tell)         # the same for each step of connecting; None: to print_debug under `debug`
    task.set_info("ssh_keepalive", 60); task.set_info("ssh_idle", 1800)          # seconds; 0 switches off
    task.set_info("ssh_overrides", {"IdentityAgent": "none"})                    # ssh_config keywords over the files
    task.set_info("ssh_known_hosts", ("/path",))  # in place of UserKnownHostsFile (the first is written to)
    task.set_info("ssh_match_exec", True)    # let `Match exec` of the configuration run its programs

Per worker (workers.paramiko.WorkerParamiko): user, environment (a mapping), pty, sudo (True or the program: one
password for the set, asked as a SecretQuestion of kind "sudo", each node's prompt recognised), per_node and overwrite
for reverse copies. NodeEnd.failure tells what a return code cannot: why a node was UNREACHABLE (FailureKind), that the
end of a remote process could not be confirmed after an abort or a timeout, what a copy left out.

`ask(question)` is called in the Task's thread and returns at once. A question is one of
 - questions.HostKeyQuestion: `.keys` (UnknownKey: node, name, address, type, fingerprint, note); answer with
   `.accept()`, `.accept(some_of_the_keys)` or `.refuse()`;
 - questions.SecretQuestion: `.kind` ("passphrase", "password", "prompts", "sudo"), `.subject` (key file or account),
   `.prompts` ((text, visible), ...), `.nodes`, `.again`; answer with `.answer(text, ...)` or `.refuse()`.
Answers may come from any thread and at any time; meanwhile the nodes concerned are held back and the others go on. A
changed or revoked key is never asked about: the node ends as UNREACHABLE with FailureKind.HOST_KEY_CHANGED or _REVOKED.

In the Task's thread `workers.paramiko.pool_of(task)` gives the pool: `.live_count` connections stand,
`.connecting_count` are being made, `.changed` names the nodes whose key has changed, `.descriptor_limit` is the limit
of open files, `.config.explain(node)` lists each value of a node's configuration and where it came from
(config.SshConfig works without a pool as well), `.forget_config()` reads configuration and keys again,
`.vault.put(account, (Secret(text),))` gives a password beforehand. Killing the Task closes the pool.
"""
