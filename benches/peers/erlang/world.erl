%% A server that keeps a world of many entities, in two schemas: with NEW defined, an entity has one field more.
-module(world).
-behaviour(gen_server).

-export([start/1, init/1, handle_call/3, handle_cast/2, code_change/3]).

-record(plain, {id, name, x, y, z, health, inventory}).
-record(leveled, {id, name, x, y, z, health, inventory, level}).

start(Count) ->
    gen_server:start(?MODULE, Count, []).

init(Count) ->
    {ok, maps:from_list([{Id, changed(other(Id))} || Id <- lists:seq(1, Count)])}.

handle_call({next, Number}, _From, World) ->
    {reply, Number + 1, World};
handle_call({kind, Id}, _From, World) ->
    {reply, element(1, maps:get(Id, World)), World}.

handle_cast(stop, World) ->
    {stop, normal, World}.

%% There are two versions, so what it comes from is the other one.
code_change(_From, World, _Extra) ->
    {ok, maps:map(fun(_Id, Entity) -> changed(Entity) end, World)}.

name(Id) ->
    <<"being ", (integer_to_binary(Id))/binary>>.

-ifdef(NEW).

other(Id) ->
    #plain{id = Id, name = name(Id), x = Id * 0.5, y = Id / 3.0, z = -1.0 * Id, health = 20 + Id rem 80,
           inventory = lists:seq(Id, Id + 7)}.

changed(#plain{id = Id, name = Name, x = X, y = Y, z = Z, health = Health, inventory = Inventory}) ->
    #leveled{id = Id, name = Name, x = X, y = Y, z = Z, health = Health, inventory = Inventory, level = 0}.

-else.

other(Id) ->
    #leveled{id = Id, name = name(Id), x = Id * 0.5, y = Id / 3.0, z = -1.0 * Id, health = 20 + Id rem 80,
             inventory = lists:seq(Id, Id + 7), level = 0}.

changed(#leveled{id = Id, name = Name, x = X, y = Y, z = Z, health = Health, inventory = Inventory}) ->
    #plain{id = Id, name = Name, x = X, y = Y, z = Z, health = Health, inventory = Inventory}.

-endif.
