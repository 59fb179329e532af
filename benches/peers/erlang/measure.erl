%% Measures what Erlang/OTP does for calls and for changes of code, and prints a line `name value` for each figure.
-module(measure).

-export([main/4]).

%% The source of the server, how many calls, how many swaps, and for each world how many entities it has and how often
%% they are changed.
main(Source, Calls, Swaps, Worlds) ->
    Old = compiled(Source, []),
    New = compiled(Source, [{d, 'NEW'}]),
    load(Old),
    memory(Old, New, Swaps),
    loads(Old, New),
    calls(Calls),
    [changes(Old, New, Count, Size) || {Size, Count} <- Worlds],
    halt(0).

compiled(Source, Options) ->
    {ok, world, Code} = compile:file(Source, [binary, deterministic | Options]),
    Code.

load(Code) ->
    {module, world} = code:load_binary(world, "world.beam", Code).

clock() ->
    erlang:monotonic_time(nanosecond).

print(Name, Value) ->
    io:format("~s ~p~n", [Name, Value]).

part(Times, Part) ->
    Sorted = lists:sort(Times),
    lists:nth(1 + trunc((length(Sorted) - 1) * Part), Sorted).

median(Times) ->
    part(Times, 0.5).

%% The times go where they leave no garbage: collecting that isn't what is measured.
calls(Count) ->
    {ok, Server} = world:start(1),
    Times = atomics:new(Count, []),
    [gen_server:call(Server, {next, 0}) || _ <- lists:seq(1, Count div 10)],
    timed_calls(Server, Times, Count, 0),
    All = [atomics:get(Times, Index) || Index <- lists:seq(1, Count)],
    print(call_p50_ns, median(All)),
    print(call_p99_99_ns, part(All, 0.9999)),
    gen_server:cast(Server, stop).

timed_calls(_Server, _Times, 0, Number) ->
    Number;
timed_calls(Server, Times, Index, Number) ->
    Started = clock(),
    Next = gen_server:call(Server, {next, Number}),
    atomics:put(Times, Index, clock() - Started),
    timed_calls(Server, Times, Index - 1, Next).

%% A server is there that runs the module, as each purge looks at all processes. It waits in gen_server's code, so the
%% purge kills nobody.
loads(Old, New) ->
    {ok, Server} = world:start(1),
    Times = [swap(Code) || _ <- lists:seq(1, 50), Code <- [New, Old]],
    print(load_and_purge_ns, median(Times)),
    gen_server:cast(Server, stop).

swap(Code) ->
    Started = clock(),
    load(Code),
    true = code:soft_purge(world),
    clock() - Started.

%% After a hundred swaps that fill what is kept anyway.
memory(Old, New, Count) ->
    swaps(Old, New, 100),
    Before = resident(),
    swaps(Old, New, Count),
    print(swap_bytes, (resident() - Before) / Count).

swaps(Old, New, Count) ->
    [swap(Code) || _ <- lists:seq(1, Count div 2), Code <- [New, Old]].

resident() ->
    {ok, Status} = file:read_file("/proc/self/smaps_rollup"),
    {match, [Kibibytes]} = re:run(Status, "Rss:\\s+(\\d+) kB", [{capture, all_but_first, list}]),
    list_to_integer(Kibibytes) * 1024.

%% There and back, by turns, so that each change finds the other version's entities.
changes(Old, New, Count, Size) ->
    load(Old),
    code:purge(world),
    {ok, Server} = world:start(Size),
    Versions = lists:sublist(lists:append(lists:duplicate(Count, [{New, leveled}, {Old, plain}])), Count),
    Times = [change(Server, Code, Kind, Size) || {Code, Kind} <- Versions],
    print(io_lib:format("change_~b_ns", [Size]), median(Times)),
    Gone = monitor(process, Server),
    gen_server:cast(Server, stop),
    receive {'DOWN', Gone, process, Server, normal} -> ok end.

%% From the first moment in which the server answers nobody to the last.
change(Server, Code, Kind, Size) ->
    code:purge(world),
    Started = clock(),
    ok = sys:suspend(Server, infinity),
    load(Code),
    ok = sys:change_code(Server, world, undefined, [], infinity),
    ok = sys:resume(Server, infinity),
    Took = clock() - Started,
    Kind = gen_server:call(Server, {kind, Size}, infinity),
    Took.
