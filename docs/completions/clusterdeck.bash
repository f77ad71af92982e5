# bash completion for clusterdeck; made from its argument parser.
_clusterdeck() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command= word
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in run|repl|play|demo|doctor|config|queue|worker|help) command=$word; break ;; esac
    done
    COMPREPLY=()
    case $command:$previous in
        :-w) COMPREPLY=($(compgen -A hostname -- "$current")); return ;;
        :-O|:--option) return; return ;;
        run:-w) COMPREPLY=($(compgen -A hostname -- "$current")); return ;;
        run:-x) COMPREPLY=($(compgen -A hostname -- "$current")); return ;;
        run:-g|run:--group) COMPREPLY=($(compgen -W "$(nodeset -lq 2>/dev/null | sed 's/^@//')" -- "$current")); return ;;
        run:-X) COMPREPLY=($(compgen -W "$(nodeset -lq 2>/dev/null | sed 's/^@//')" -- "$current")); return ;;
        run:--hostfile|run:--machinefile) COMPREPLY=($(compgen -f -- "$current")); return ;;
        run:--pick) return; return ;;
        run:-s|run:--groupsource) return; return ;;
        run:--groupsconf) COMPREPLY=($(compgen -f -- "$current")); return ;;
        run:--axis) return; return ;;
        run:--outdir) COMPREPLY=($(compgen -d -- "$current")); return ;;
        run:--errdir) COMPREPLY=($(compgen -d -- "$current")); return ;;
        run:--color) COMPREPLY=($(compgen -W 'auto always never' -- "$current")); return ;;
        run:-c|run:--copy) COMPREPLY=($(compgen -f -- "$current")); return ;;
        run:--rcopy) COMPREPLY=($(compgen -f -- "$current")); return ;;
        run:--dest) COMPREPLY=($(compgen -f -- "$current")); return ;;
        run:-R|run:--worker) COMPREPLY=($(compgen -W 'paramiko ssh rsh pdsh exec' -- "$current")); return ;;
        run:-l|run:--user) COMPREPLY=($(compgen -u -- "$current")); return ;;
        run:-f|run:--fanout) return; return ;;
        run:-t|run:--connect_timeout|run:--connect-timeout) return; return ;;
        run:-u|run:--command_timeout|run:--timeout) return; return ;;
        run:-o|run:--options) return; return ;;
        run:-O|run:--option) return; return ;;
        run:-m|run:--mode) return; return ;;
        run:--conf) COMPREPLY=($(compgen -f -- "$current")); return ;;
        run:--remote) COMPREPLY=($(compgen -W 'yes no' -- "$current")); return ;;
        run:-e|run:--env) return; return ;;
        run:--batch) return; return ;;
        run:--stop-at) return; return ;;
        run:--retries) return; return ;;
        run:--confirm) return; return ;;
        repl:-w) COMPREPLY=($(compgen -A hostname -- "$current")); return ;;
        repl:-O|repl:--option) return; return ;;
        play:-w) COMPREPLY=($(compgen -A hostname -- "$current")); return ;;
        play:-O|play:--option) return; return ;;
        demo:-n|demo:--nodes) return; return ;;
        config:--node) COMPREPLY=($(compgen -A hostname -- "$current")); return ;;
    esac
    case $command in
        run) COMPREPLY=($(compgen -W '-h --help -w -x -a --all -g --group -X --hostfile --machinefile --pick -s --groupsource --groupsconf -b --dshbak -B -L -N -S --maxrc -r --regroup -G --groupbase --axis --diff --outdir --errdir --json --jsonl --raw --color -P --progress -q --quiet -v --verbose -d --debug -c --copy --rcopy --dest -p -R --worker -l --user -f --fanout -t --connect_timeout --connect-timeout -u --command_timeout --timeout -o --options -O --option -m --mode --conf -n --nostdin --remote --pty -e --env --batch --stop-at --retries --sudo --confirm --dry-run --version' -- "$current")) ;;
        repl) COMPREPLY=($(compgen -W '-h --help -w -O --option' -- "$current")) ;;
        play) COMPREPLY=($(compgen -W '-h --help -w -O --option --dry-run --yes collect-logs config-push disk-full kernel-audit reboot-and-wait rolling-restart' -- "$current")) ;;
        demo) COMPREPLY=($(compgen -W '-h --help -n --nodes --healthy --serve-only' -- "$current")) ;;
        doctor) COMPREPLY=($(compgen -W '-h --help --json' -- "$current")) ;;
        config) COMPREPLY=($(compgen -W '-h --help --node --force show explain init trust run ssh rsh batch limits safety records screen queue groups run.fanout run.connect_timeout run.timeout run.worker run.user run.sudo run.stderr ssh.config ssh.host_keys ssh.known_hosts ssh.agent ssh.agent_forwarding ssh.password ssh.connecting ssh.keepalive ssh.idle ssh.options ssh.path ssh.scp_path ssh.scp_options rsh.path rsh.options rsh.rcp_path rsh.rcp_options batch.verbosity batch.max_rc batch.node_count batch.command_prefix batch.password_prompt limits.node_memory limits.run_memory limits.total_memory limits.run_spool limits.total_spool limits.pending_output limits.runs safety.confirm_above safety.protected safety.read_only safety.dangerous records.audit records.audit_required records.syslog records.keep_runs records.runs_quota records.history_size screen.theme screen.keymap screen.editing screen.animation screen.color screen.output screen.node_colors screen.ascii screen.refresh queue.store queue.name queue.allow_plain queue.socket queue.slots groups.default groups.file' -- "$current")) ;;
        queue) COMPREPLY=($(compgen -W '-h --help serve workers add map status results cancel retry pause resume drain' -- "$current")) ;;
        worker) COMPREPLY=($(compgen -W '' -- "$current")) ;;
        help) COMPREPLY=($(compgen -W '-h --help exit-codes' -- "$current")) ;;
        *) COMPREPLY=($(compgen -W 'run repl play demo doctor config queue worker help -h --help --version -w -O --option' -- "$current")) ;;
    esac
    case $command in
        run) [[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -A command -A file -- "$current")) ;;
        play) [[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -f -- "$current")) ;;
    esac
}
complete -o filenames -F _clusterdeck clusterdeck cdeck
