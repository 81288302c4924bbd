%% Twenty philosophers and an arbitrator who hands out the forks. Twin of programs/philosophers.ts.

-module(philosophers).
-behaviour(host).
-export([run/1, philosopher/3]).

%% Sets of forks and of seats are integers, a bit each. Seat N needs forks N and N + 1.
-record(table, {seats, philosophers, forks_in_use = 0, hungry = 0, left = 0, eaten = 0}).

run([Seats, Meals]) ->
    Eaten = Seats * Meals,
    {Time, Eaten} = timer:tc(fun() -> dine(Seats, Meals) end),
    [{philosophers_meals_per_s, host:per_second(Eaten, Time)}].

dine(Seats, Meals) ->
    Pids = [spawn_link(?MODULE, philosopher, [self(), Seat, Meals]) || Seat <- lists:seq(0, Seats - 1)],
    arbitrator(#table{seats = Seats, philosophers = list_to_tuple(Pids)}).

arbitrator(#table{left = Seats, seats = Seats, eaten = Eaten}) ->
    Eaten;
arbitrator(Table) ->
    receive
        {hungry, Seat} -> arbitrator(serve(Seat, Table));
        {done, Seat} -> arbitrator(clear(Seat, Table));
        {left, Meals} ->
            #table{left = Left, eaten = Eaten} = Table,
            arbitrator(Table#table{left = Left + 1, eaten = Eaten + Meals})
    end.

forks_of(Seat, Seats) ->
    (1 bsl Seat) bor (1 bsl ((Seat + 1) rem Seats)).

serve(Seat, #table{seats = Seats, philosophers = Philosophers, forks_in_use = InUse, hungry = Hungry} = Table) ->
    Forks = forks_of(Seat, Seats),
    case InUse band Forks of
        0 ->
            element(Seat + 1, Philosophers) ! eat,
            Table#table{forks_in_use = InUse bor Forks, hungry = Hungry band bnot (1 bsl Seat)};
        _ ->
            Table#table{hungry = Hungry bor (1 bsl Seat)}
    end.

%% Takes the forks back and serves the neighbours who wait for them, the left one first.
clear(Seat, #table{seats = Seats, forks_in_use = InUse} = Table) ->
    Cleared = Table#table{forks_in_use = InUse band bnot forks_of(Seat, Seats)},
    serve_if_hungry((Seat + 1) rem Seats, serve_if_hungry((Seat + Seats - 1) rem Seats, Cleared)).

serve_if_hungry(Seat, #table{hungry = Hungry} = Table) ->
    case Hungry band (1 bsl Seat) of
        0 -> Table;
        _ -> serve(Seat, Table)
    end.

philosopher(Arbitrator, Seat, Meals) ->
    philosopher(Arbitrator, Seat, Meals, 0).

philosopher(Arbitrator, _Seat, Meals, Meals) ->
    Arbitrator ! {left, Meals};
philosopher(Arbitrator, Seat, Meals, Eaten) ->
    Arbitrator ! {hungry, Seat},
    receive
        eat ->
            Arbitrator ! {done, Seat},
            philosopher(Arbitrator, Seat, Meals, Eaten + 1)
    end.
