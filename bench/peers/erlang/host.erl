%% The BEAM's side of `bench actors`: one operating-system process, one program, as many runs as it is asked for.
%%
%% Started with the name of a program, a module with run/1. Reads lines from standard input: "ready" is answered with
%% "done"; "run 1000 2", with the sizes of the program, makes one run and is answered with a line for each figure,
%% "metric value", and then "done". The end of input ends it. Each run has a fresh process and so a fresh heap, and what it
%% spawned is gone before the next run begins.

-module(host).
-export([main/0, per_second/2]).

-callback run(Sizes :: [pos_integer()]) -> [{Metric :: atom(), Value :: number()}].

main() ->
    [Name] = init:get_plain_arguments(),
    serve(list_to_atom(Name)).

serve(Program) ->
    case io:get_line("") of
        eof -> halt(0);
        Line -> obey(Program, string:lexemes(Line, " \n"))
    end,
    serve(Program).

obey(_Program, ["ready"]) ->
    io:put_chars("done\n");
obey(Program, ["run" | Sizes]) ->
    Before = erlang:system_info(process_count),
    run(Program, [list_to_integer(Size) || Size <- Sizes]),
    await_count(Before).

%% The process answers itself and ends; the reason of its end takes along everything that is linked to it.
run(Program, Sizes) ->
    {Pid, Ref} = spawn_monitor(fun() -> answer(Program:run(Sizes)), exit(shutdown) end),
    receive
        {'DOWN', Ref, process, Pid, shutdown} ->
            ok;
        {'DOWN', Ref, process, Pid, Reason} ->
            io:format(standard_error, "~P~n", [Reason, 20]),
            halt(1)
    end.

answer(Figures) ->
    [io:format("~s ~w~n", [Metric, float(Value)]) || {Metric, Value} <- Figures],
    io:put_chars("done\n").

await_count(Count) ->
    case erlang:system_info(process_count) of
        Count ->
            ok;
        _ ->
            timer:sleep(1),
            await_count(Count)
    end.

%% A rate from a count and what timer:tc told.
per_second(Count, Microseconds) ->
    Count * 1000000 / Microseconds.
