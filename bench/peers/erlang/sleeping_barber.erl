%% A barber, a waiting room, and more customers than seats. Twin of programs/sleeping-barber.ts.

-module(sleeping_barber).
-behaviour(host).
-export([run/1, room/1, barber/1, customer/2]).

run([Seats, Customers, Crowds]) ->
    Room = spawn_link(?MODULE, room, [Seats]),
    Haircuts = Customers * Crowds,
    {Time, Haircuts} = timer:tc(fun() -> street(Room, Customers, Crowds, 0) end),
    [{barber_haircuts_per_s, host:per_second(Haircuts, Time)}].

street(_Room, _Customers, 0, Haircuts) ->
    Haircuts;
street(Room, Customers, Crowds, Haircuts) ->
    send_crowd(Room, Customers),
    street(Room, Customers, Crowds - 1, Haircuts + watch(Customers, 0, 0, [])).

send_crowd(_Room, 0) ->
    ok;
send_crowd(Room, Left) ->
    Customer = spawn_link(?MODULE, customer, [Room, self()]),
    Customer ! come_in,
    send_crowd(Room, Left - 1).

%% Who found no seat is sent in again after a haircut, or when nobody is left inside for one.
watch(Customers, Customers, _Waiting, _Returned) ->
    Customers;
watch(Customers, Served, Waiting, Returned) ->
    receive
        {returned, Customer} when Served + Waiting + 1 =:= Customers ->
            Customer ! come_in,
            watch(Customers, Served, Waiting, Returned);
        {returned, Customer} ->
            watch(Customers, Served, Waiting + 1, [Customer | Returned]);
        {served, _Customer} when Returned =:= [] ->
            watch(Customers, Served + 1, Waiting, Returned);
        {served, _Customer} ->
            hd(Returned) ! come_in,
            watch(Customers, Served + 1, Waiting - 1, tl(Returned))
    end.

customer(Room, Street) ->
    receive
        come_in ->
            Room ! {enter, self()},
            customer(Room, Street);
        full ->
            Street ! {returned, self()},
            customer(Room, Street);
        cut ->
            Street ! {served, self()}
    end.

barber(Room) ->
    receive
        {customer, Customer} ->
            Customer ! cut,
            Room ! next,
            barber(Room)
    end.

room(Seats) ->
    Barber = spawn_link(?MODULE, barber, [self()]),
    asleep(Barber, Seats).

asleep(Barber, Seats) ->
    receive
        {enter, Customer} ->
            Barber ! {customer, Customer},
            awake(Barber, Seats, Seats, queue:new())
    end.

awake(Barber, Seats, Free, Waiting) ->
    receive
        {enter, Customer} when Free =:= 0 ->
            Customer ! full,
            awake(Barber, Seats, Free, Waiting);
        {enter, Customer} ->
            awake(Barber, Seats, Free - 1, queue:in(Customer, Waiting));
        next ->
            call_next(Barber, Seats, Free, Waiting)
    end.

call_next(Barber, Seats, Free, Waiting) ->
    case queue:out(Waiting) of
        {{value, Customer}, Rest} ->
            Barber ! {customer, Customer},
            awake(Barber, Seats, Free + 1, Rest);
        {empty, _} ->
            asleep(Barber, Seats)
    end.
