%% Structured messages from a process on one scheduler to one on another, which are linked. Twin of
%% programs/cross-worker.ts: the same window, the same checks. Run with two schedulers; the option `scheduler` of
%% spawn_opt, which OTP does not document, keeps the two apart.

-module(cross_worker).
-behaviour(host).
-export([run/1, receiver/2]).

-define(WINDOW, 8000).
-define(ACKNOWLEDGED, 1000).

-record(text, {id, to, seen}).

run([Messages]) ->
    Schedulers = erlang:system_info(schedulers),
    {Time, Messages} = timer:tc(fun() -> send_all(Messages, Schedulers) end),
    [{cross_worker_msgs_per_s, host:per_second(Messages, Time)}].

send_all(Messages, Schedulers) ->
    Starter = self(),
    Send = fun() -> Starter ! {counted, sender(Messages, Schedulers)} end,
    spawn_opt(Send, [link, {scheduler, 1}]),
    receive
        {counted, Count} -> Count
    end.

sender(Messages, Schedulers) ->
    process_flag(trap_exit, true),
    Receiver = spawn_opt(?MODULE, receiver, [self(), 0], [link, {scheduler, Schedulers}]),
    send(Receiver, 0, ?WINDOW, Messages).

send(Receiver, Messages, _WindowEnd, Messages) ->
    Receiver ! finish,
    await_exit(Receiver);
send(Receiver, WindowEnd, WindowEnd, Messages) ->
    receive
        {acknowledged, Count} -> send(Receiver, WindowEnd, Count + ?WINDOW, Messages)
    end;
send(Receiver, Sent, WindowEnd, Messages) ->
    Receiver ! #text{id = Sent, to = <<"alice">>, seen = false},
    send(Receiver, Sent + 1, WindowEnd, Messages).

await_exit(Receiver) ->
    receive
        {'EXIT', Receiver, {shutdown, Count}} -> Count
    end.

receiver(Sender, Count) ->
    receive
        #text{id = Count, to = <<"alice">>, seen = false} ->
            acknowledge(Sender, Count + 1),
            receiver(Sender, Count + 1);
        _FinishOrUnexpected ->
            exit({shutdown, Count})
    end.

acknowledge(Sender, Count) when Count rem ?ACKNOWLEDGED =:= 0 ->
    Sender ! {acknowledged, Count};
acknowledge(_Sender, _Count) ->
    ok.
